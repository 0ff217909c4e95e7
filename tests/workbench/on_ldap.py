"""Signing in by a directory; run by ``test_ldap`` in a process of its own.

Arguments: database, address of the directory.
"""

import sys

from fraud.settings import WorkbenchSettings
from fraud.workbench.configure import set_up

BASE, ADMIN = "dc=example,dc=org", "cn=admin,dc=example,dc=org"
PASSWORD = "rivers and 7 mountains"


def fill(connection) -> None:
    """People and groups of the directory."""

    def add(name: str, **attributes) -> None:
        told = {k: v if isinstance(v, list) else [v] for k, v in attributes.items()}
        rows = [(k, [x.encode() for x in own]) for k, own in told.items()]
        connection.add_s(f"{name},{BASE}" if name else BASE, rows)

    add("", objectClass=["dcObject", "organization"], dc="example", o="example")
    for unit in ("people", "groups"):
        add(f"ou={unit}", objectClass="organizationalUnit", ou=unit)
    for person in ("li.ming", "head", "nobody.special"):
        add(f"uid={person},ou=people", objectClass="inetOrgPerson", uid=person, cn=person, sn="x",
            userPassword=f"{PASSWORD} of {person}")  # fmt: skip
    member = f"uid=li.ming,ou=people,{BASE}"
    for group in ("auditor", "wheel"):
        add(f"cn={group},ou=groups", objectClass="groupOfNames", cn=group, member=member)
    add("cn=administrator,ou=groups", objectClass="groupOfNames", cn="administrator",
        member=f"uid=head,ou=people,{BASE}")  # fmt: skip


def work(database: str, address: str) -> None:
    import ldap

    connection = ldap.initialize(address)
    connection.start_tls_s()
    connection.simple_bind_s(ADMIN, PASSWORD)
    fill(connection)
    own = WorkbenchSettings(
        database=database, allowed_hosts=("testserver",), sign_in="ldap", ldap_url=address,
        ldap_bind_dn=ADMIN, ldap_people=f"ou=people,{BASE}", ldap_groups=f"ou=groups,{BASE}", lock_after=50,
    )  # fmt: skip
    set_up(own)
    from django.test import Client

    from fraud.workbench.accounts import save_account
    from fraud.workbench.models import Account, TrailEntry

    def sign_in(name: str, password: str) -> Client:
        client = Client()
        client.post("/sign-in/", {"name": name, "password": password})
        return client

    def status(name: str, password: str) -> int:
        return sign_in(name, password).get("/cases/").status_code

    save_account("head", "head", PASSWORD, "test")
    assert status("li.ming", f"{PASSWORD} of li.ming") == 200
    account = Account.objects.get(username="li.ming")
    assert (account.roles, account.has_usable_password()) == (frozenset({"auditor"}), False)
    told = TrailEntry.objects.filter(actor="ldap").order_by("number").values_list("action", flat=True)
    assert list(told) == ["account_made", "account_changed"]
    assert TrailEntry.objects.filter(actor="li.ming", action="sign_in").exists()
    # wrong, empty, another's, and names that would be filters
    for name, password in (
        ("li.ming", "wrong password"), ("li.ming", ""), ("li.ming", f"{PASSWORD} of head"), ("*", PASSWORD),
        ("li*", f"{PASSWORD} of li.ming"), ("x)(uid=*", f"{PASSWORD} of li.ming"), ("nobody", "x"),
    ):  # fmt: skip
        assert status(name, password) == 302, (name, password)
    found = sorted(Account.objects.values_list("username", flat=True))
    assert found == ["head", "li.ming"], found
    # a person of a local account's name gets nothing by the directory's password, and changes nothing
    assert status("head", f"{PASSWORD} of head") == 302
    assert status("head", PASSWORD) == 200
    assert Account.objects.get(username="head").roles == frozenset({"head"})
    # a person without a group that is a role signs in and may do nothing; who leaves a group loses the role
    assert status("nobody.special", f"{PASSWORD} of nobody.special") == 403
    connection.delete_s(f"cn=auditor,ou=groups,{BASE}")
    assert status("li.ming", f"{PASSWORD} of li.ming") == 403
    assert TrailEntry.objects.filter(actor="ldap", action="account_changed").count() == 2


def without_trust(address: str, database: str) -> None:
    """A directory whose certificate nobody vouches for is asked for no password; local accounts go on."""
    from django.test import Client

    set_up(WorkbenchSettings(database=database, allowed_hosts=("testserver",), sign_in="ldap",
                             ldap_url=address, ldap_people=f"ou=people,{BASE}"))  # fmt: skip
    for name, password, expected in (("li.ming", f"{PASSWORD} of li.ming", 401), ("head", PASSWORD, 302)):
        assert Client().post("/sign-in/", {"name": name, "password": password}).status_code == expected


if __name__ == "__main__":
    if len(sys.argv) == 3:
        work(*sys.argv[1:])
    else:
        without_trust(sys.argv[2], sys.argv[1])
