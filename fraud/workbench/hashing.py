"""How passwords are kept."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2(Argon2PasswordHasher):
    """Argon2id with twice the work that OWASP asks for at this memory (46 MiB, one lane).

    Django's own choice takes 100 MiB and eight threads a hash: fifty people who sign in within a second
    waited half a minute on two cores.
    """

    time_cost = 2
    memory_cost = 47_104
    parallelism = 1
