"""Factories for tests. Words: `TaskFactory(k=3)` is a task of three responses to one prompt."""

from typing import Any

import factory
from django.contrib.auth import get_user_model
from factory.django import DjangoModelFactory

from annotate.collection.keys import task_key
from annotate.models.members import Membership
from annotate.models.prompts import Prompt, Response, Split
from annotate.models.studies import Criterion, Study
from annotate.models.tasks import Task, TaskResponse


class UserFactory(DjangoModelFactory):
    """A user without a password: tests sign in with `client.force_login`, or set one."""

    class Meta:
        model = get_user_model()

    username = factory.Sequence(lambda n: f"user{n}")
    password = "!"


class StudyFactory(DjangoModelFactory):
    class Meta:
        model = Study

    slug = factory.Sequence(lambda n: f"study-{n}")
    name = factory.Sequence(lambda n: f"Study {n}")


class CriterionFactory(DjangoModelFactory):
    class Meta:
        model = Criterion

    study = factory.SubFactory(StudyFactory)
    key = factory.Sequence(lambda n: f"criterion-{n}")
    name = factory.Sequence(lambda n: f"Criterion {n}")


class MembershipFactory(DjangoModelFactory):
    class Meta:
        model = Membership

    study = factory.SubFactory(StudyFactory)
    user = factory.SubFactory(UserFactory)


class PromptFactory(DjangoModelFactory):
    class Meta:
        model = Prompt

    study = factory.SubFactory(StudyFactory)
    external_id = factory.Sequence(lambda n: f"prompt-{n}")
    text = factory.Sequence(lambda n: f"What is answer number {n}?")
    split = Split.TRAIN


class ResponseFactory(DjangoModelFactory):
    class Meta:
        model = Response

    prompt = factory.SubFactory(PromptFactory)
    external_id = factory.Sequence(lambda n: f"response-{n}")
    text = factory.Sequence(lambda n: f"Answer number {n}.")
    author_name = "somebody"


class TaskFactory(DjangoModelFactory):
    class Meta:
        model = Task

    study = factory.SubFactory(StudyFactory)
    prompt = factory.SubFactory(PromptFactory, study=factory.SelfAttribute("..study"))
    replication = factory.SelfAttribute("study.replication")

    @classmethod
    def _create(cls, model_class: type[Task], *args: Any, k: int = 2, **kwargs: Any) -> Task:
        responses = ResponseFactory.create_batch(k, prompt=kwargs["prompt"])
        task = super()._create(model_class, *args, key=task_key([r.pk for r in responses]), **kwargs)
        TaskResponse.objects.bulk_create(
            TaskResponse(task=task, response=response, position=position) for position, response in enumerate(responses)
        )
        return task
