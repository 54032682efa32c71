from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """An account. A person takes part in studies by memberships; this table holds only how they sign in."""
