"""What the tests of the rating pages share."""

from django.urls import reverse

from annotate.collection.leases import lease_next
from tests.factories import MembershipFactory, TaskFactory


def leased(rater, k=2):
    TaskFactory(study=rater.study, k=k)
    return lease_next(rater=rater)


def url(name, assignment):
    return reverse(name, args=[assignment.pk])


def sign_in_elsewhere(client):
    """Somebody who belongs to another study."""
    client.force_login(MembershipFactory().user)
