"""The same request at the same time, by threads with connections of their own: nothing fails, nothing is done twice."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from annotate.collection.judgements import Answer, adjudicate
from annotate.models.judgements import Judgement
from annotate.models.prompts import Prompt, Response
from annotate.models.studies import Study
from annotate.models.tasks import Task
from tests.factories import TaskFactory

pytestmark = pytest.mark.django_db(transaction=True)

AT_ONCE = 4
MANY = 100


def at_once(work):
    """What `work` returns in each of AT_ONCE threads that begin together."""
    barrier = threading.Barrier(AT_ONCE)

    def begin(_number):
        try:
            with connection.cursor():  # connected before the others are waited for
                barrier.wait()
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(begin, range(AT_ONCE)))


def prompts():
    return {"prompts": [{"prompt_id": f"p{n}", "prompt": f"Question {n}"} for n in range(MANY)]}


def responses():
    return {
        "responses": [
            {"prompt_id": f"p{n}", "prompt": f"Question {n}", "response": text, "author": text}
            for n in range(MANY)
            for text in "AB"
        ],
        "make_tasks": True,
    }


def test_uploads_of_prompts_and_responses(owner, api):
    for path, body in (("prompts", prompts()), ("responses", responses())):
        answers = at_once(lambda path=path, body=body: api("POST", f"studies/shop/{path}/", body))
        assert [answer.status_code for answer in answers] == [200] * AT_ONCE, [answer.content for answer in answers]
        counted = [answer.json()[path] for answer in answers]
        assert sorted(counted)[:-1] == [0] * (AT_ONCE - 1)
    assert (Prompt.objects.count(), Response.objects.count(), Task.objects.count()) == (MANY, 2 * MANY, MANY)


def test_uploads_of_judgements(owner, api):
    api("POST", "studies/shop/responses/", responses())
    body = {
        "judgements": [
            {
                "judgement_id": f"j{prompt.pk}",
                "prompt_id": prompt.external_id,
                "shown": list(prompt.responses.order_by("pk").values_list("external_id", flat=True)),
                "ranks": [1, 2],
                "rater": "somebody",
            }
            for prompt in Prompt.objects.all()
        ]
    }
    # The rater is known already: the threads do not wait for each other to make them.
    api("POST", "studies/shop/judgements/", {"judgements": body["judgements"][:1]})
    answers = at_once(lambda: api("POST", "studies/shop/judgements/", body))
    assert [answer.status_code for answer in answers] == [200] * AT_ONCE, [answer.content for answer in answers]
    assert Judgement.objects.count() == MANY


def test_a_study_of_one_short_name(owner, api):
    body = {"slug": "bakery", "name": "Bakery", "method": "compare"}
    answers = at_once(lambda: api("POST", "studies/", body))
    assert sorted(answer.status_code for answer in answers) == [201] + [422] * (AT_ONCE - 1)
    assert Study.objects.filter(slug="bakery").count() == 1


@pytest.mark.parametrize("ranks", [[[1, 2]] * AT_ONCE, [[1, 2], [2, 1]] * (AT_ONCE // 2)], ids=["same", "different"])
def test_decisions_of_an_expert(owner, ranks):
    task = TaskFactory(study=owner.study)
    shown = list(task.places.values_list("response_id", flat=True))
    waiting = list(ranks)
    made = at_once(
        lambda: adjudicate(task=task, expert=owner, shown=shown, answer=Answer(ranks=waiting.pop())).pk,
    )
    live = Judgement.objects.live().filter(task=task)
    assert live.count() == 1
    assert live.get().pk == max(made)
    if len({tuple(of) for of in ranks}) == 1:
        assert Judgement.objects.count() == 1
    else:
        assert Judgement.objects.count() >= 2
