"""The REST API: what programs may do, and that what they do twice is done once."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next
from annotate.models.api import ApiToken
from annotate.models.audit import Entry
from annotate.models.judgements import Judgement
from annotate.models.prompts import Response
from annotate.models.studies import Study
from annotate.models.tasks import Task
from tests.factories import CriterionFactory, MembershipFactory, StudyFactory, TaskFactory
from training.models import ModelKind, ModelVersion, Run

RESPONSES = [{"prompt": "Q", "response": text, "author": f"m{text}"} for text in "AB"]


class TestTokens:
    def test_only_the_hash_of_a_token_is_kept(self, owner, bearer):
        text = bearer()["Authorization"].split()[1]
        stored = json.dumps(list(ApiToken.objects.values()), default=str)
        assert text not in stored
        assert ApiToken.objects.get().start == text[:11]

    @pytest.mark.parametrize("header", [None, "Bearer", "Bearer palate_no", "Bearer a b", "Token x", "Bearer \u00e9"])
    def test_without_a_token_that_holds_nothing_is_told(self, api, header):
        answer = api("GET", "studies/", headers={"Authorization": header} if header else {})
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == "Bearer"

    def test_expired_tokens_and_those_of_inactive_users_do_not_hold(self, api, owner):
        ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        assert api("GET", "studies/").status_code == 401
        ApiToken.objects.update(expires_at=timezone.now() + timedelta(days=1))
        assert api("GET", "studies/").status_code == 200
        owner.user.is_active = False
        owner.user.save()
        assert api("GET", "studies/").status_code == 401

    @pytest.mark.parametrize(("scope", "method", "path"), [
        ("read", "GET", "studies/shop/judgements/"), ("read", "GET", "studies/shop/export/raw.csv"),
        ("read", "POST", "studies/"), ("export", "GET", "studies/"), ("write", "POST", "studies/shop/runs/"),
        ("export", "POST", "studies/shop/judgements/"), ("read", "POST", "studies/shop/webhooks/"),
    ])  # fmt: skip
    def test_a_scope_opens_no_other_door(self, api, bearer, scope, method, path):
        assert api(method, path, {}, headers=bearer(scope)).status_code == 403

    def test_the_page_shows_a_token_once_and_ends_it(self, client, owner):
        client.force_login(owner.user)
        page = client.post("/account/tokens/", {"name": "nightly", "scopes": ["read", "export"], "days": "9"})
        text = page.context["made"]
        assert text in page.content.decode()
        assert text not in client.get("/account/tokens/").content.decode()
        assert client.get("/api/v1/studies/", headers={"Authorization": f"Bearer {text}"}).status_code == 200
        client.post(f"/account/tokens/{ApiToken.objects.get().pk}/end/")
        client.logout()
        assert client.get("/api/v1/studies/", headers={"Authorization": f"Bearer {text}"}).status_code == 401

    def test_nobody_ends_the_token_of_another(self, client, owner, bearer):
        bearer()
        client.force_login(MembershipFactory().user)
        assert client.post(f"/account/tokens/{ApiToken.objects.get().pk}/end/").status_code == 404


class TestStudies:
    def test_a_study_is_made_read_and_changed(self, api):
        made = api(
            "POST", "studies/", {"slug": "fresh", "name": "New", "method": "score", "criteria": [{"key": "clear"}]}
        )
        assert made.status_code == 201
        assert api("PATCH", "studies/fresh/", {"replication": 5}).json()["replication"] == 5
        read = api("GET", "studies/fresh/").json()
        assert (read["name"], read["criteria"][0]["key"]) == ("New", "clear")
        assert Entry.objects.get(action="changed").details == {"fields": ["replication"]}

    @pytest.mark.parametrize(("data", "status", "words"), [
        ({"slug": "shop", "name": "x"}, 422, "slug"), ({"slug": "a b", "name": "x"}, 400, "slug"),
        ({"name": "x"}, 400, "slug"), ({"slug": "x", "name": "x", "method": "score"}, 422, "criterion"),
        ([], 400, ""),
    ])  # fmt: skip
    def test_what_does_not_fit_is_refused_in_words(self, api, data, status, words):
        answer = api("POST", "studies/", data)
        assert answer.status_code == status
        assert words in answer.content.decode()
        assert Study.objects.count() == 1

    def test_lists_go_by_cursor_through_everything_once(self, api, owner):
        for number in range(7):
            api("POST", "studies/", {"slug": f"s{number}", "name": "x"})
        path, seen = "studies/?page_size=3", []
        while path:
            page = api("GET", path).json()
            seen += [study["slug"] for study in page["results"]]
            path = page["next"] and page["next"].split("/api/v1/")[1]
        assert seen == ["shop", *(f"s{number}" for number in range(7))]

    def test_studies_of_others_are_not_there(self, api):
        foreign = StudyFactory(slug="foreign")
        MembershipFactory(study=foreign, role="rater", user=ApiToken.objects.get().user)
        assert [study["slug"] for study in api("GET", "studies/").json()["results"]] == ["shop"]
        for path in ("", "prompts/", "responses/", "judgements/", "export/raw.csv", "runs/", "models/", "webhooks/"):
            assert api("GET", f"studies/foreign/{path}").status_code == 404
            assert api("POST", f"studies/foreign/{path}", {}).status_code in (404, 405)

    def test_auditors_read_and_export_but_change_nothing(self, api, owner, bearer):
        headers = bearer(user=MembershipFactory(study=owner.study, role="auditor").user)
        for path in ("", "judgements/", "export/raw.csv", "runs/"):
            assert api("GET", f"studies/shop/{path}", headers=headers).status_code == 200
        assert api("PATCH", "studies/shop/", {"name": "x"}, headers=headers).status_code == 404
        assert api("POST", "studies/shop/responses/", {"responses": RESPONSES}, headers=headers).status_code == 404


class TestData:
    def test_responses_become_tasks_and_are_there_once(self, api, owner):
        for expected in ((1, 2, 1), (0, 0, 0)):
            added = api("POST", "studies/shop/responses/", {"responses": RESPONSES}).json()
            assert (added["prompts"], added["responses"], added["tasks"]) == expected
        assert lease_next(rater=owner) is not None
        listed = api("GET", "studies/shop/responses/").json()["results"]
        assert [(r["text"], r["author"]) for r in listed] == [("A", "mA"), ("B", "mB")]

    def test_one_bad_entry_and_nothing_is_stored(self, api):
        entries = [*RESPONSES, {"prompt": "Q", "response": "x\0y"}]
        answer = api("POST", "studies/shop/responses/", {"responses": entries})
        assert answer.status_code in (400, 422)
        entries = [*RESPONSES, {"prompt": "Q2", "response": "C", "group": "g", "split": "test"},
                   {"prompt": "Q3", "response": "C", "group": "g", "split": "train"}]  # fmt: skip
        answer = api("POST", "studies/shop/responses/", {"responses": entries})
        assert answer.status_code == 422
        assert "request line 4, field split" in answer.json()["detail"]
        assert not Response.objects.exists()

    def test_judgements_made_elsewhere(self, api):
        entries = [{"prompt": "Q", "prompt_id": "q", "response": t, "response_id": t} for t in "AB"]
        api("POST", "studies/shop/responses/", {"responses": entries})
        output = {"judgement_id": "1", "prompt_id": "q", "shown": ["B", "A"], "ranks": [1, 2], "rater": "r"}
        for expected in (1, 0):
            added = api("POST", "studies/shop/judgements/", {"judgements": [output]}).json()
            assert added["judgements"] == expected
        (read,) = api("GET", "studies/shop/judgements/").json()["results"]
        assert (read["shown"], read["ranks"], read["rater_kind"]) == (["B", "A"], [1, 2], "imported")
        for change, words in (
            ({"shown": ["B", "C"]}, "'C'"),
            ({"ranks": [1, 3]}, "ranking"),
            ({"prompt_id": "x"}, "'x'"),
        ):
            wrong = {**output, "judgement_id": "2", **change}
            answer = api("POST", "studies/shop/judgements/", {"judgements": [wrong]})
            assert (answer.status_code, words in answer.json()["detail"]) == (422, True)
        assert Judgement.objects.count() == 1

    def test_labels_of_judgements_are_the_studys(self, api):
        labels = {"label_question": "Which?", "labels": ["good", "bad"], "ask_confidence": True}
        assert api("PATCH", "studies/shop/", labels).json()["labels"] == ["good", "bad"]
        CriterionFactory(study=Study.objects.get(slug="shop"), key="clear", minimum=1, maximum=5)
        api("POST", "studies/shop/responses/", {"responses": [{"prompt": "Q", "prompt_id": "q", "response": "A"}]})
        (response,) = api("GET", "studies/shop/responses/").json()["results"]
        output = {
            "judgement_id": "1", "prompt_id": "q", "shown": [response["response_id"]], "scores": {"clear": [3]},
            "rater": "r", "label": "good", "confidence": 3,
        }  # fmt: skip
        for change, status, words in (
            ({"label": "fine"}, 422, "'fine' is no label of the study; expected good, bad"),
            ({"label": ""}, 422, "only with a label"),
            ({"confidence": 4}, 400, "4"),
            ({"scores": {"claer": [3]}}, 422, "'claer' is no criterion of the study; expected clear"),
            ({"lable": "good"}, 400, "Unknown field; expected judgement_id"),
            ({}, 200, '"judgements":1'),
            ({"label": "bad"}, 422, "the id 'api:1' stands in the study already with another judgement"),
            ({"judgement_id": "2", "label": "bad"}, 200, '"repeats":1'),
        ):
            answer = api("POST", "studies/shop/judgements/", {"judgements": [{**output, **change}]})
            assert answer.status_code == status, answer.content
            assert words in answer.content.decode()
        read, again = api("GET", "studies/shop/judgements/").json()["results"]
        assert (read["part"], again["part"]) == ("vote", "repeat")
        assert (read["label"], read["confidence"]) == ("good", 3)

    def test_exports_are_the_files_of_the_page_and_are_on_record(self, api, owner):
        TaskFactory(study=owner.study)
        submit(assignment=lease_next(rater=owner), answer=Answer(ranks=[1, 2]))
        answer = api("GET", "studies/shop/export/pairs.jsonl?min_raters=1")
        (row,) = [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]
        assert row["votes_for"] == 1
        entry = Entry.objects.get(action="exported")
        assert (entry.actor, entry.subject) == (owner.user.username, "pairs.jsonl")
        assert api("GET", "studies/shop/export/pairs.exe").status_code == 400

    @pytest.mark.parametrize("accept", ["text/csv", "application/json", "application/vnd.apache.parquet", "*/*"])
    def test_a_client_may_say_what_it_accepts(self, api, bearer, owner, accept):
        TaskFactory(study=owner.study)
        submit(assignment=lease_next(rater=owner), answer=Answer(ranks=[1, 2]))
        headers = {**bearer("export"), "Accept": accept}
        answer = api("GET", "studies/shop/export/raw.csv", headers=headers)
        assert (answer.status_code, answer["Content-Type"]) == (200, "text/csv; charset=utf-8")
        assert b"".join(answer.streaming_content).startswith(b"judgement,")
        refused = api("GET", "studies/shop/export/pairs.exe", headers=headers)
        assert (refused.status_code, refused["Content-Type"]) == (400, "application/json")

    def test_lists_take_no_other_filter_than_the_split(self, api, owner):
        TaskFactory(study=owner.study)
        path = "studies/shop/prompts/?study__memberships__user__password__startswith=!&split=test"
        assert api("GET", path).json()["results"] == []
        assert len(api("GET", path.replace("&split=test", "")).json()["results"]) == 1


class TestIdempotency:
    def once(self, api, bearer, data, key="k"):
        return api("POST", "studies/", data, headers={**bearer(), "Idempotency-Key": key})

    def test_the_same_request_is_carried_out_once(self, api, bearer):
        first, again = (self.once(api, bearer, {"slug": "fresh", "name": "New"}) for _ in range(2))
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.json() == again.json()
        assert again["Idempotent-Replayed"] == "true"
        assert Study.objects.filter(slug="fresh").count() == 1

    def test_a_key_belongs_to_one_request(self, api, bearer):
        self.once(api, bearer, {"slug": "fresh", "name": "New"})
        assert self.once(api, bearer, {"slug": "other", "name": "New"}).status_code == 422

    def test_a_request_that_failed_may_be_sent_again(self, api, bearer):
        assert self.once(api, bearer, {"slug": "shop", "name": "New"}).status_code == 422
        Study.objects.filter(slug="shop").update(slug="gone")
        assert self.once(api, bearer, {"slug": "shop", "name": "New"}).status_code == 201

    def test_keys_of_two_users_are_apart(self, api, bearer):
        self.once(api, bearer, {"slug": "fresh", "name": "New"})
        headers = {**bearer(user=MembershipFactory(role="manager").user), "Idempotency-Key": "k"}
        assert api("POST", "studies/", {"slug": "other", "name": "x"}, headers=headers).status_code == 201


class TestRuns:
    def test_a_run_starts_like_from_its_page(self, api, owner):
        policy = ModelVersion.objects.create(study=owner.study, kind=ModelKind.POLICY, name="m", path="/m")
        wrong = {"kind": "generate_responses", "options": {"model": "/etc"}}
        assert api("POST", "studies/shop/runs/", wrong).status_code == 400
        wrong = {"kind": "pretrain", "options": {"corpus": "/etc/passwd"}}
        assert "corpus" in api("POST", "studies/shop/runs/", wrong).json()["options"]
        wrong = {"kind": "import_prompts", "options": {"file": "/etc/passwd"}}
        assert api("POST", "studies/shop/runs/", wrong).status_code == 422
        assert not Run.objects.exists()
        made = api("POST", "studies/shop/runs/", {"kind": "pretrain", "options": {"max_steps": 3}})
        assert (made.status_code, made.json()["config"]["max_steps"]) == (201, 3)
        assert api("POST", f"studies/shop/runs/{made.json()['id']}/cancel/").json()["state"] == "cancelled"
        assert [model["id"] for model in api("GET", "studies/shop/models/").json()["results"]] == [policy.pk]
        assert Entry.objects.get(action="trained").user == owner.user

    def test_runs_of_other_studies_are_not_there(self, api):
        run = Run.objects.create(study=StudyFactory(), kind="pretrain")
        for method, path in (("GET", ""), ("POST", "cancel/")):
            assert api(method, f"studies/shop/runs/{run.pk}/{path}").status_code == 404


def test_a_list_costs_the_same_number_of_queries_whatever_its_length(api, owner, django_assert_num_queries):
    TaskFactory.create_batch(3, study=owner.study)
    rater = MembershipFactory(study=owner.study)
    while assignment := lease_next(rater=rater):
        submit(assignment=assignment, answer=Answer(ranks=[1, 2]))
    api("GET", "studies/shop/judgements/")
    # The first page is a download, which is logged.
    with django_assert_num_queries(7):
        assert len(api("GET", "studies/shop/judgements/").json()["results"]) == Task.objects.count()
