"""Making a study from a template, its preview, its state, one more scale."""

import pytest
from django.urls import reverse

from annotate.models.studies import Study
from annotate.studies.templates import TEMPLATES
from tests.factories import MembershipFactory, StudyFactory, TaskFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(client):
    owner = MembershipFactory(study=StudyFactory(slug="shop"), role="owner")
    client.force_login(owner.user)
    return owner


def filled_in(form):
    """What a browser sends of a form that nobody has touched."""
    fields = [field for part in form for field in part]
    return {
        field.html_name: "on" if field.widget_type == "checkbox" else str(field.value())
        for field in fields
        if field.value() not in (None, "") and not (field.widget_type == "checkbox" and not field.value())
    }


class TestTemplates:
    @pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.key)
    def test_each_makes_a_study_as_it_stands_and_shows_it_before(self, client, template):
        client.force_login(UserFactory(is_superuser=True))
        address = reverse("study-create") + f"?template={template.key}"
        form = client.get(address).context["form"]
        data = filled_in([form.study, form.criteria.management_form, *form.criteria])
        preview = client.post(reverse("study-create-preview") + f"?template={template.key}", data)
        assert preview.status_code == 200
        assert [panel.text for panel in preview.context["panels"]] == template.shown(template.method, 3)
        client.post(address, data)
        study = Study.objects.get(slug=template.key)
        assert (study.method, study.instructions) == (template.method, str(template.instructions))
        assert [c.name for c in study.criteria.all()] == [str(scale["name"]) for scale in template.criteria]
        for name, value in template.settings.items():
            assert getattr(study, name) == value
        assert study.memberships.get().role == "owner"

    def test_one_that_there_is_not_starts_empty(self, client):
        client.force_login(UserFactory(is_superuser=True))
        page = client.get(reverse("study-create") + "?template=nothing-like-it")
        assert page.context["chosen"] is None


class TestPreview:
    @pytest.fixture
    def untouched(self, client):
        """What a browser sends of the form of a new study."""
        client.force_login(UserFactory(is_superuser=True))
        form = client.get(reverse("study-create")).context["form"]
        return filled_in([form.study, form.criteria.management_form, *form.criteria])

    def test_a_study_without_a_name_is_enough_and_nothing_is_stored(self, client, untouched):
        page = client.post(reverse("study-create-preview"), {**untouched, "method": "rank", "rank_size": "4"})
        assert page.status_code == 200
        assert len(page.context["panels"]) == 4
        assert not Study.objects.exists()

    @pytest.mark.parametrize(
        ("field", "value", "words"),
        [
            ("rank_size", "32000", "Responses in a ranking: Ensure this value is less than or equal to 10."),
            ("rank_size", "-1", "greater than or equal to"),
            ("rank_size", "9" * 5000, "Responses in a ranking"),
            ("method", "nonsense", "Method: Select a valid choice."),
            ("labels", ",".join(map(str, range(101))), "it should contain no more than 100"),
            ("criteria-TOTAL_FORMS", "1000", "Please submit at most 50 forms."),
            ("criteria-TOTAL_FORMS", "", "ManagementForm"),
            ("criteria-0-maximum", "1e308", "Highest score: Ensure this value is less than"),
            ("criteria-0-maximum", "nan", "Highest score: Enter a number."),
            ("criteria-0-maximum", "0", "The highest score must be above the lowest."),
        ],
    )
    def test_an_invalid_form_shows_nothing_but_its_errors(self, client, untouched, field, value, words):
        data = {**untouched, "method": "rank", "criteria-0-name": "Clear", field: value}
        page = client.post(reverse("study-create-preview"), data)
        assert page.status_code == 422
        assert words in page.context["problems"][0]
        assert "panels" not in page.context
        assert len(page.content) < 10_000

    def test_of_a_study_an_invalid_form_shows_nothing_but_its_errors(self, client, owner):
        TaskFactory(study=owner.study)
        form = client.get(reverse("study-settings", args=["shop"])).context["form"]
        page = client.post(reverse("study-preview", args=["shop"]), {**filled_in([form]), "rank_size": "32000"})
        assert page.status_code == 422
        assert "panels" not in page.context

    def test_of_a_study_shows_its_own_newest_task_with_the_settings_of_the_form(self, client, owner):
        TaskFactory(study=owner.study, prompt__text="Our own prompt <script>x</script>")
        form = client.get(reverse("study-settings", args=["shop"])).context["form"]
        data = {**filled_in([form]), "allow_ties": ""}
        page = client.post(reverse("study-preview", args=["shop"]), data)
        text = page.content.decode()
        assert "Our own prompt" in text
        assert "<script>x" not in text
        assert "Equally good" not in text
        owner.study.refresh_from_db()
        assert owner.study.allow_ties

    def test_cannot_be_framed_by_others(self, client, owner):
        page = client.post(reverse("study-preview", args=["shop"]), {})
        assert page.headers["X-Frame-Options"] == "DENY"


class TestState:
    def test_pause_resume_close_reopen(self, client, owner):
        states = []
        for to in ("pause", "resume", "close", "reopen"):
            client.post(reverse("study-state", args=["shop"]), {"to": to})
            owner.study.refresh_from_db()
            states.append((owner.study.active, owner.study.closed_at is not None))
        assert states == [(False, False), (True, False), (False, True), (True, False)]

    def test_what_does_not_go_is_said(self, client, owner):
        client.post(reverse("study-state", args=["shop"]), {"to": "close"})
        page = client.post(reverse("study-state", args=["shop"]), {"to": "resume"}, follow=True)
        assert "open it again first" in page.content.decode()
        assert client.post(reverse("study-state", args=["shop"]), {"to": "burn"}).status_code == 400


class TestSettings:
    def test_a_form_that_was_opened_before_the_pause_does_not_resume_the_study(self, client, owner):
        data = {**filled_in([client.get(reverse("study-settings", args=["shop"])).context["form"]]), "active": "on"}
        client.post(reverse("study-state", args=["shop"]), {"to": "pause"})
        assert client.post(reverse("study-settings", args=["shop"]), {**data, "name": "Corner shop"}).status_code == 302
        owner.study.refresh_from_db()
        assert (owner.study.name, owner.study.active) == ("Corner shop", False)

    def test_a_closed_study_can_be_described(self, client, owner):
        data = filled_in([client.get(reverse("study-settings", args=["shop"])).context["form"]])
        client.post(reverse("study-state", args=["shop"]), {"to": "close"})
        assert client.post(reverse("study-settings", args=["shop"]), {**data, "name": "Corner shop"}).status_code == 302


class TestScales:
    def data(self, **changes):
        return {"name": "Kind", "minimum": "1", "maximum": "3", "highest": "very", **changes}

    def test_one_more(self, client, owner):
        client.post(reverse("study-add-scale", args=["shop"]), self.data())
        scale = owner.study.criteria.get()
        assert (scale.key, scale.maximum, scale.labels) == ("kind", 3.0, {"3": "very"})

    @pytest.mark.parametrize("changes", [{"name": ""}, {"maximum": "1"}, {"maximum": "x"}])
    def test_what_does_not_fit_is_said(self, client, owner, changes):
        page = client.post(reverse("study-add-scale", args=["shop"]), self.data(**changes))
        assert page.status_code == 422
        assert "error" in page.content.decode()
        assert not owner.study.criteria.exists()

    def test_a_name_twice_is_said(self, client, owner):
        for expected in (302, 422):
            assert client.post(reverse("study-add-scale", args=["shop"]), self.data()).status_code == expected
