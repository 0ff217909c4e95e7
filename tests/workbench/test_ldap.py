"""Signing in by a real directory: an OpenLDAP server that the test starts, over TLS."""

import datetime
import os
import shutil
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = Path(os.environ.get("SLAPD_ROOT", "/"))
PROGRAM = shutil.which("slapd") or (str(p) if (p := ROOT / "usr/sbin/slapd").exists() else None)
pytestmark = pytest.mark.skipif(
    PROGRAM is None or find_spec("ldap") is None or find_spec("django_auth_ldap") is None,
    reason="slapd or fraud[ldap] is not installed",
)
CONF = """
include {root}/etc/ldap/schema/core.schema
include {root}/etc/ldap/schema/cosine.schema
include {root}/etc/ldap/schema/inetorgperson.schema
modulepath {root}/usr/lib/ldap
moduleload back_mdb
TLSCACertificateFile {home}/cert.pem
TLSCertificateFile {home}/cert.pem
TLSCertificateKeyFile {home}/key.pem
database mdb
suffix "dc=example,dc=org"
rootdn "cn=admin,dc=example,dc=org"
rootpw "rivers and 7 mountains"
directory {home}/data
"""


def certificate(home: Path) -> None:
    """A key and a certificate that it signs itself, for this machine."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (home / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.TraditionalOpenSSL
    plain = serialization.NoEncryption()
    (home / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))


@pytest.fixture
def directory(tmp_path):
    """Address of an empty directory."""
    home = tmp_path / "ldap"
    (home / "data").mkdir(parents=True)
    certificate(home)
    root = "" if str(ROOT) == "/" else ROOT
    (home / "slapd.conf").write_text(CONF.format(home=home, root=root), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"ldap://127.0.0.1:{port}"
    process = subprocess.Popen(
        [PROGRAM, "-f", str(home / "slapd.conf"), "-h", address, "-d", "0"], stderr=subprocess.DEVNULL
    )
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert process.poll() is None, "slapd ended"
        time.sleep(0.05)
    yield address, home / "cert.pem"
    process.terminate()
    process.wait(timeout=20)


def test_people_sign_in_by_the_directory_and_get_its_roles(directory, tmp_path):
    address, trusted = directory
    env = {
        **os.environ,
        "FRAUD_WORKBENCH_LDAP_PASSWORD": "rivers and 7 mountains",
        "LDAPTLS_CACERT": str(trusted),
    }

    def run(*arguments: str, **more: str) -> None:
        script = [sys.executable, str(HERE / "on_ldap.py"), str(tmp_path / "ldap.sqlite"), address]
        done = subprocess.run(
            [*script, *arguments], env={**env, **more}, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr[-2000:]

    run()
    run("without trust", LDAPTLS_CACERT="")
