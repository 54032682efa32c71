"""Run by Label Studio's own Python, in its own settings: users, projects and tasks like those of load.py.

    python label_studio_project.py RATERS TASKS EXPORTED TEXT

Prints one object: the cookie of each user, the project to annotate, and the one with so many annotations to export.
"""

import json
import sys
import time

import django

CONFIG = """<View><Text name="prompt" value="$prompt"/><Text name="a" value="$a"/><Text name="b" value="$b"/>
<Pairwise name="better" toName="a,b"/></View>"""
ANSWER = [{"from_name": "better", "to_name": "a", "type": "pairwise", "value": {"selected": "left"}}]


def main(raters: int, tasks: int, exported: int, text: str) -> dict:
    from django.test import Client
    from organizations.models import Organization
    from tasks.models import Annotation
    from users.models import User

    first = User.objects.create_user(email="u0@example.com", password="bench")
    organization = Organization.create_organization(created_by=first, title="Bench")
    users = [first, *(User.objects.create_user(email=f"u{n}@example.com", password="bench") for n in range(1, raters))]
    cookies = []
    for user in users:
        organization.add_user(user)
        user.active_organization = organization
        user.save()
        client = Client()
        client.force_login(user)
        session = client.session
        session["last_login"] = time.time()
        session.save()
        cookies.append(session.session_key)
    judged = project(organization, first, exported, text)
    Annotation.objects.bulk_create(
        Annotation(task=task, project=judged, completed_by=first, result=ANSWER, lead_time=12)
        for task in judged.tasks.all()
    )
    judged.tasks.update(is_labeled=True, total_annotations=1)
    return {"cookies": cookies, "project": project(organization, first, tasks, text).pk, "judged": judged.pk}


def project(organization, owner, tasks: int, text: str):
    from projects.models import Project
    from tasks.models import Task

    made = Project.objects.create(title="Bench", label_config=CONFIG, organization=organization, created_by=owner)
    Task.objects.bulk_create(
        Task(project=made, data={"prompt": f"{n} {text}", "a": f"a {text}", "b": f"b {text}"}, overlap=1, inner_id=n)
        for n in range(1, tasks + 1)
    )
    return made


if __name__ == "__main__":
    django.setup()
    print(json.dumps(main(*map(int, sys.argv[1:4]), sys.argv[4])))
