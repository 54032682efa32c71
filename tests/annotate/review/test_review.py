"""Flags, disputed tasks and known answers: the review page and what it does."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.urls import reverse

from annotate.collection.flags import flag, resolve
from annotate.collection.gold import set_known_answer
from annotate.collection.judgements import Answer, adjudicate, submit
from annotate.collection.leases import lease_next, skip
from annotate.exchange.exporters.exports import raw_rows
from annotate.models.choices import Part, Purpose
from annotate.models.gold import KnownAnswer
from annotate.models.judgements import Judgement
from annotate.models.review import Flag, FlagKind
from annotate.models.tasks import Task
from core.errors import PalateError
from tests.factories import CriterionFactory, MembershipFactory, StudyFactory, TaskFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return StudyFactory(slug="shop", replication=3)


@pytest.fixture
def manager(client, study):
    manager = MembershipFactory(study=study, role="manager")
    client.force_login(manager.user)
    return manager


def test_skips_flags_and_comments_are_seen_and_exported(client, manager, study, tmp_path):
    tasks = [TaskFactory(study=study) for _ in range(4)]
    rater = MembershipFactory(study=study)
    skip(assignment=lease_next(rater=rater), reason="language: is it Danish?")
    skip(assignment=lease_next(rater=rater), reason="my own words: long")
    flag(assignment=lease_next(rater=rater), kind=FlagKind.PRIVATE, details="=a phone number")
    submit(assignment=lease_next(rater=rater), answer=Answer(ranks=[1, 2], comment="<b>close</b>"))
    page = client.get(reverse("review", args=["shop"])).content.decode()
    for words in ("I do not read this language", "is it Danish?", "my own words: long", "&lt;b&gt;close&lt;/b&gt;"):
        assert words in page
    call_command("export_preferences", study="shop", format="feedback", output=str(tmp_path / "f.jsonl"))
    entries = [json.loads(line) for line in (tmp_path / "f.jsonl").read_text().splitlines()]
    assert [(row["kind"], row["reason"], row["text"], row["resolved"]) for row in entries] == [
        ("comment", "", "<b>close</b>", None), ("flag", "private", "=a phone number", False),
        ("skip", "other", "my own words: long", None), ("skip", "language", "is it Danish?", None),
    ]  # fmt: skip
    assert {row["task"] for row in entries} == {task.pk for task in tasks}
    csv = b"".join(client.get(reverse("export", args=["shop", "feedback", "csv"])).streaming_content).decode()
    assert "'=a phone number" in csv


def vote(study, ranks):
    """A new rater's answer to the next task, with these ranks of its places."""
    assignment = lease_next(rater=MembershipFactory(study=study))
    places = list(assignment.task.places.values_list("response_id", flat=True))
    return submit(assignment=assignment, answer=Answer(ranks=[ranks[places.index(pk)] for pk in assignment.shown]))


class TestFlag:
    def test_takes_the_task_out_until_somebody_decides(self, study):
        task = TaskFactory(study=study)
        rater = MembershipFactory(study=study)
        flag(assignment=lease_next(rater=rater), kind=FlagKind.PRIVATE, details="a phone number")
        assert lease_next(rater=MembershipFactory(study=study)) is None
        resolve(task=task, hand_out=True)
        assert lease_next(rater=MembershipFactory(study=study)).task == task
        assert lease_next(rater=rater) is None

    def test_twice_is_once_and_others_may_flag_too(self, study):
        TaskFactory(study=study)
        first, second = (lease_next(rater=MembershipFactory(study=study)) for _ in range(2))
        for assignment in (first, first, second):
            flag(assignment=assignment, kind=FlagKind.UNSAFE)
        assert Flag.objects.count() == 2

    def test_not_of_a_task_that_is_judged(self, study):
        TaskFactory(study=study)
        assignment = lease_next(rater=MembershipFactory(study=study))
        submit(assignment=assignment, answer=Answer(ranks=[1, 2]))
        with pytest.raises(PalateError, match="judged this task already"):
            flag(assignment=assignment, kind=FlagKind.UNSAFE)
        assert not Task.objects.get().withdrawn

    def test_a_judgement_in_the_making_is_still_taken(self, study):
        TaskFactory(study=study)
        other, mine = (lease_next(rater=MembershipFactory(study=study)) for _ in range(2))
        flag(assignment=other, kind=FlagKind.UNREADABLE)
        assert submit(assignment=mine, answer=Answer(ranks=[1, 2])).live

    def test_from_the_screen(self, client, study):
        rater = MembershipFactory(study=study)
        TaskFactory(study=study)
        client.force_login(rater.user)
        assignment = lease_next(rater=rater)
        client.post(reverse("skip", args=[assignment.pk]), {"reason": "unsafe", "details": "it <b>threatens</b>"})
        assert Flag.objects.get().details == "it <b>threatens</b>"
        assert Task.objects.get().withdrawn


class TestReviewPage:
    def test_shows_flags_with_their_texts_and_nothing_runs(self, client, study, manager):
        TaskFactory(study=study, prompt__text="<script>alert(1)</script>")
        flag(assignment=lease_next(rater=MembershipFactory(study=study)), kind="unsafe", details="<img src=x>")
        text = client.get(reverse("review", args=["shop"])).content.decode()
        assert "&lt;script&gt;alert(1)" in text
        assert "&lt;img src=x&gt;" in text

    @pytest.mark.parametrize(("decision", "withdrawn"), [("hand-out", False), ("keep-out", True)])
    def test_a_flag_is_decided(self, client, study, manager, decision, withdrawn):
        task = TaskFactory(study=study)
        flag(assignment=lease_next(rater=MembershipFactory(study=study)), kind="unsafe")
        client.post(reverse("resolve-flags", args=["shop", task.pk]), {"decision": decision})
        task.refresh_from_db()
        assert (task.withdrawn, Flag.objects.get().resolved_at is None) == (withdrawn, False)
        assert "flagged-" not in client.get(reverse("review", args=["shop"])).content.decode()

    def test_a_flagged_known_answer_waits_for_review_while_raters_go_on_with_it(self, client, study, manager):
        study.gold_share = 1.0
        study.save()
        task = TaskFactory(study=study)
        set_known_answer(task=task, purpose=Purpose.GOLD, ranks=[1, 2])
        flag(assignment=lease_next(rater=MembershipFactory(study=study)), kind="unsafe", details="it threatens")
        page = client.get(reverse("review", args=["shop"])).content.decode()
        assert "it threatens" in page
        assert "Keep showing it" in page
        assert lease_next(rater=MembershipFactory(study=study)).task == task
        client.post(reverse("resolve-flags", args=["shop", task.pk]), {"decision": "keep-out"})
        assert lease_next(rater=MembershipFactory(study=study)) is None

    def test_another_decision_is_refused(self, client, study, manager):
        task = TaskFactory(study=study)
        assert client.post(reverse("resolve-flags", args=["shop", task.pk]), {}).status_code == 400

    def test_only_the_studys_own_tasks_are_there(self, client, study, manager):
        foreign = TaskFactory()
        for name in ("resolve-flags", "decide", "gold", "gold-retire"):
            assert client.post(reverse(name, args=["shop", foreign.pk])).status_code == 404, name


class TestAdjudication:
    def test_a_disputed_task_is_listed_decided_blind_and_gone(self, client, study, manager):
        task = TaskFactory(study=study)
        for ranks in ([1, 2], [2, 1]):
            vote(study, ranks)
        page = client.get(reverse("review", args=["shop"]))
        assert [(found, dispute.agreement) for found, dispute in page.context["disputed"]] == [(task, 0.0)]
        address = reverse("decide", args=["shop", task.pk])
        screen = client.get(address)
        assert "somebody" not in screen.content.decode()
        assert [p.text for p in client.get(address).context["panels"]] == [p.text for p in screen.context["panels"]]
        assert client.post(address, {}).status_code == 422
        assert client.post(address, {"preference": "a2"}).url == reverse("review", args=["shop"])
        judgement = Judgement.objects.get(part=Part.ADJUDICATION)
        first = screen.context["panels"][0].text
        assert judgement.task.responses.get(pk=judgement.shown[judgement.ranks.index(1)]).text == first
        assert judgement.rater == manager
        assert client.get(reverse("review", args=["shop"])).context["disputed"] == []

    def test_takes_no_slot_and_is_marked_in_the_export(self, study, manager):
        task = TaskFactory(study=study)
        shown = list(task.places.values_list("response_id", flat=True))
        adjudicate(task=task, expert=manager, shown=shown, answer=Answer(ranks=[1, 2]))
        task.refresh_from_db()
        assert task.slots_taken == 0
        assert {row[4] for row in raw_rows(study)} == {"adjudication"}

    def test_a_second_decision_supersedes_the_first(self, study, manager):
        task = TaskFactory(study=study)
        shown = list(task.places.values_list("response_id", flat=True))
        for ranks in ([1, 2], [2, 1]):
            adjudicate(task=task, expert=manager, shown=shown, answer=Answer(ranks=ranks))
        assert [(j.ranks, j.live) for j in Judgement.objects.order_by("id")] == [([1, 2], False), ([2, 1], True)]

    def test_an_expert_who_rates_may_decide_the_same_task(self, study, manager):
        task = TaskFactory(study=study)
        submit(assignment=lease_next(rater=manager), answer=Answer(ranks=[1, 2]))
        shown = list(task.places.values_list("response_id", flat=True))
        adjudicate(task=task, expert=manager, shown=shown, answer=Answer(ranks=[1, 1]))
        assert Judgement.objects.live().filter(rater=manager).count() == 2


class TestKnownAnswers:
    def test_are_made_changed_and_taken_out_on_the_pages(self, client, study, manager):
        task = TaskFactory(study=study)
        address = reverse("gold", args=["shop", task.pk])
        assert address in client.get(reverse("gold-new", args=["shop"])).content.decode()
        page = client.post(address, {"purpose": "gold", "explanation": "It is right."})
        assert page.status_code == 422
        client.post(address, {"preference": "b1", "purpose": "gold", "explanation": "It is right."})
        task.refresh_from_db()
        assert (task.purpose, task.known_answer.ranks) == (Purpose.GOLD, [2, 1])
        client.post(address, {"preference": "a1", "purpose": "practice", "explanation": ""})
        task.refresh_from_db()
        assert (task.purpose, task.known_answer.ranks) == (Purpose.PRACTICE, [1, 2])
        assert client.get(reverse("review", args=["shop"])).context["known"].count() == 1
        client.post(reverse("gold-retire", args=["shop", task.pk]))
        assert client.get(reverse("review", args=["shop"])).context["known"].count() == 0

    def test_a_task_that_was_begun_is_refused_in_words(self, client, study, manager):
        task = TaskFactory(study=study)
        vote(study, [1, 2])
        data = {"preference": "b1", "purpose": "gold"}
        page = client.post(reverse("gold", args=["shop", task.pk]), data)
        assert page.status_code == 422
        assert "votes would be lost" in page.content.decode()

    def test_without_an_untouched_task_the_page_says_so(self, client, study, manager):
        page = client.get(reverse("gold-new", args=["shop"]))
        assert "Every task has been begun" in page.content.decode()

    def test_is_no_dispute(self, client, study, manager):
        set_known_answer(task=TaskFactory(study=study), purpose=Purpose.GOLD, ranks=[1, 2])
        study.gold_share = 1.0
        study.save()
        for ranks in ([1, 2], [2, 1]):
            vote(study, ranks)
        assert client.get(reverse("review", args=["shop"])).context["disputed"] == []

    @pytest.mark.parametrize("strength", [True, False])
    @pytest.mark.parametrize("k", [1, 2, 3])
    def test_the_form_shows_what_is_stored_and_saving_it_changes_nothing(self, client, study, manager, k, strength):
        study.use_strength, study.labels = strength, ["good", "bad"]
        study.save()
        CriterionFactory(study=study, key="clear")
        CriterionFactory(study=study, key="sure", minimum=0, maximum=100)
        task = TaskFactory(study=study, k=k)
        ranks = {1: None, 2: [2, 1], 3: [2, 1, 2]}[k]
        scores = {"clear": [4.0, 2.0, 1.0][:k], "sure": [50.5, 0.0, 7.0][:k]}
        output = {"ranks": ranks, "scores": scores, "label": "bad", "explanation": "Because <b>so</b>."}
        set_known_answer(task=task, purpose=Purpose.PRACTICE, **output)
        address = reverse("gold", args=["shop", task.pk])
        page = client.get(address)
        assert "Because &lt;b&gt;so&lt;/b&gt;." in page.content.decode()
        sent = {
            field.html_name: field.value()
            for form in (page.context["form"], page.context["extra"])
            for field in form
            if field.value() not in (None, False)
        }
        assert client.post(address, sent).status_code == 302
        task.refresh_from_db()
        assert task.purpose == Purpose.PRACTICE
        assert {name: getattr(task.known_answer, name) for name in output} == output
        client.post(address, {**sent, "explanation": "Other words."})
        task.refresh_from_db()
        assert {name: getattr(task.known_answer, name) for name in output} == {**output, "explanation": "Other words."}

    def test_an_answer_that_only_has_a_label_stays_one(self, client, study, manager):
        study.labels = ["good", "bad"]
        study.save()
        task = TaskFactory(study=study)
        set_known_answer(task=task, purpose=Purpose.GOLD, label="good")
        client.post(reverse("gold", args=["shop", task.pk]), {"label": "bad", "purpose": "gold"})
        task.refresh_from_db()
        assert (task.known_answer.label, task.known_answer.ranks) == ("bad", None)

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            ({"place_0": "1"}, "Give every response a place"),
            ({"score_0_clear": "1"}, "Score “Clear” for every response"),
            ({}, "says nothing"),
        ],
    )
    def test_half_an_answer_is_refused(self, client, study, manager, data, words):
        CriterionFactory(study=study, key="clear", name="Clear")
        task = TaskFactory(study=study, k=3)
        page = client.post(reverse("gold", args=["shop", task.pk]), {**data, "purpose": "gold"})
        assert page.status_code == 422
        assert words in page.content.decode()


class TestChoosing:
    @pytest.fixture
    def address(self, manager):
        return reverse("gold-new", args=["shop"])

    def found(self, client, address, query):
        return [task.pk for task in client.get(address, {"q": query}).context["found"]]

    def test_a_search_finds_tasks_by_number_prompt_and_words(self, client, study, address):
        tea, soup, begun = (TaskFactory(study=study, prompt__text=f"About {name}") for name in ("tea", "soup", "begun"))
        Task.objects.filter(pk=begun.pk).update(slots_taken=1)
        foreign = TaskFactory(prompt__text="About tea")
        set_known_answer(task=soup, purpose=Purpose.GOLD, ranks=[1, 2])
        assert self.found(client, address, "TEA") == [tea.pk]
        assert self.found(client, address, str(soup.pk)) == [soup.pk]
        assert self.found(client, address, tea.prompt.external_id) == [tea.pk]
        assert self.found(client, address, "About") == [tea.pk, soup.pk]
        assert self.found(client, address, str(foreign.pk)) == self.found(client, address, "\0") == []
        assert "No task was found" in client.get(address, {"q": "nothing like it"}).content.decode()

    def upload(self, client, text, name="answers.csv"):
        file = SimpleUploadedFile(name, text.encode())
        return client.post(reverse("gold-upload", args=["shop"]), {"file": file})

    def test_a_file_gives_many_tasks_their_answers(self, client, study, manager):
        study.labels = ["good", "bad"]
        study.save()
        first, second, third = (TaskFactory(study=study, k=k) for k in (2, 3, 2))
        ids = [list(task.places.values_list("response__external_id", flat=True)) for task in (first, second)]
        lines = ["task_id,prompt_id,response_id,rank,label,purpose,explanation"]
        lines += [f"{first.pk},,{ids[0][1]},1,,quiz,It is right.", f"{first.pk},,{ids[0][0]},2,,,"]
        lines += [f",{second.prompt.external_id},{name},{rank},,," for name, rank in zip(ids[1], "733", strict=True)]
        lines += [f"{third.pk},,,,bad,,"]
        assert self.upload(client, "\n".join(lines)).url == reverse("review", args=["shop"])
        for task in (first, second, third):
            task.refresh_from_db()
        answers = [task.known_answer for task in (first, second, third)]
        assert [answer.ranks for answer in answers] == [[2, 1], [2, 1, 1], None]
        assert [task.purpose for task in (first, second, third)] == ["quiz", "gold", "gold"]
        assert (answers[0].explanation, answers[2].label) == ("It is right.", "bad")
        # A later file changes what it names and keeps the rest.
        assert self.upload(client, f"task_id,label\n{first.pk},good\n").status_code == 302
        first.refresh_from_db()
        answer = first.known_answer
        assert (first.purpose, answer.ranks, answer.label) == ("quiz", [2, 1], "good")
        assert answer.explanation == "It is right."

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("0,,a,1,,,", "line 3, field task_id: &#x27;0&#x27; is no task of the study"),
            (",,a,1,,,", "line 3, field task_id: is empty"),
            (",nowhere,a,1,,,", "line 3, field prompt_id"),
            ("{task},,a,first,,,", "line 3, field rank: &#x27;first&#x27; is no rank"),
            ("{task},,a,,,,", "line 3, field rank: is missing"),
            ("{task},,a,1,,,", "line 3: the rows rank a; the task has the responses"),
            ("{task},,,,fine,,", "no label “fine”"),
            ("{task},,,,,collect,", "for gold, quiz, practice or an example"),
        ],
    )
    def test_a_row_that_is_wrong_is_named_and_nothing_is_stored(self, client, study, manager, line, words):
        good, other = TaskFactory.create_batch(2, study=study)
        names = list(good.places.values_list("response__external_id", flat=True))
        head = "task_id,prompt_id,response_id,rank,label,purpose,explanation"
        sound = "\n".join(f"{good.pk},,{name},{rank},,," for name, rank in zip(names, "12", strict=True))
        line = line.format(task=other.pk)
        page = self.upload(client, f"{head}\n{line}\n{sound}".replace(f"{head}\n{line}", f"{head}\n\n{line}"))
        assert page.status_code == 422
        assert words in page.content.decode()
        assert not KnownAnswer.objects.exists()

    def test_other_columns_and_other_files_are_refused(self, client, study, manager):
        assert "unknown column" in self.upload(client, "task,ranking\n1,1\n").content.decode()
        assert self.upload(client, "\x00\x01", name="picture.png").status_code == 422
        assert "answers.csv: holds no rows" in self.upload(client, "task_id,label\n").content.decode()
