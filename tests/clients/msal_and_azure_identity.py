"""Asks a running `pintle dev --fixed` the two questions as Python clients of the real thing do, for
themselves and for a user who signs in.

MSAL's ConfidentialClientApplication and azure-identity's ClientSecretCredential are used with
their default settings: https://login.microsoftonline.com as the authority, instance discovery and
certificate verification on. Only two things stand in for the machine's set-up: name resolution is
replaced in this process (for the hosts file and port 443), and the throwaway CA is trusted through
the variables REQUESTS_CA_BUNDLE and SSL_CERT_FILE.

    pip install -r requirements.txt
    python msal_and_azure_identity.py path/to/pintle

Prints what it checked and `N passed, N failed`; exits with 1 if anything failed.
"""

import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import urllib.request

from checks import SCOPE, Checks, Names, ask_both_questions, by_command, expect
from signing_in import with_users


def with_msal(checks, dev):
    import msal

    def application(secret):
        return msal.ConfidentialClientApplication(
            dev["client_id"],
            authority="https://login.microsoftonline.com/" + dev["tenant_id"],
            client_credential=secret,
        )

    def token():
        answer = application(dev["client_secret"]).acquire_token_for_client(scopes=[SCOPE])
        expect("access_token" in answer, answer)
        expect(3000 < answer["expires_in"] <= 3600, f"expires_in {answer['expires_in']}")
        return answer["access_token"]

    def cached():
        client = application(dev["client_secret"])
        first = client.acquire_token_for_client(scopes=[SCOPE])
        again = client.acquire_token_for_client(scopes=[SCOPE])
        expect(again["token_source"] == "cache" and again["access_token"] == first["access_token"], again)

    def refused():
        answer = application("wrong").acquire_token_for_client(scopes=[SCOPE])
        expect(answer.get("error") == "invalid_client", answer)
        expect(7000215 in answer.get("error_codes", []), answer)

    got = checks.check("msal: a token with default settings", token)
    if got:
        ask_both_questions(checks, "msal", dev, got)
    checks.check("msal: the second token comes from its cache", cached)
    checks.check("msal: a wrong secret is invalid_client", refused)


def certificate_for(pintle, dev, folder):
    """Registers a new certificate for the application; gives its key, itself and its thumbprint."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "soar")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    public = certificate.public_bytes(serialization.Encoding.PEM).decode()
    path = os.path.join(folder, "certificate.pem")
    with open(path, "w") as file:
        file.write(public)
    added = by_command(pintle, dev, "client", "add-certificate", dev["client_id"], path)
    thumbprint = certificate.fingerprint(hashes.SHA1()).hex().upper()
    expect(thumbprint in [credential.get("thumbprint") for credential in added["credentials"]], added)
    return private, public, thumbprint


def with_certificates(checks, pintle, dev):
    import msal
    from azure.identity import CertificateCredential

    with tempfile.TemporaryDirectory() as folder:
        made = checks.check("a certificate is registered by command", lambda: certificate_for(pintle, dev, folder))
        if not made:
            return
        private, public, thumbprint = made

        def msal_token(credential):
            client = msal.ConfidentialClientApplication(
                dev["client_id"],
                authority="https://login.microsoftonline.com/" + dev["tenant_id"],
                client_credential=credential,
            )
            answer = client.acquire_token_for_client(scopes=[SCOPE])
            expect("access_token" in answer, answer)
            return answer["access_token"]

        by_sha1 = {"private_key": private, "thumbprint": thumbprint}
        by_sha256 = {"private_key": private, "public_certificate": public}
        for what, credential in [("RS256 and x5t", by_sha1), ("PS256 and x5t#S256", by_sha256)]:
            got = checks.check(f"msal: a token by certificate, {what}", lambda: msal_token(credential))
            if got:
                ask_both_questions(checks, f"msal by certificate, {what}", dev, got)

        def refused():
            from cryptography.hazmat.primitives import serialization
            from cryptography.hazmat.primitives.asymmetric import rsa

            other = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            try:
                msal_token({"private_key": other.decode(), "thumbprint": thumbprint})
            except AssertionError as error:
                expect("invalid_client" in str(error) and "700027" in str(error), str(error))
            else:
                raise AssertionError("a token for another key")

        checks.check("msal: another key is invalid_client", refused)

        def azure_identity():
            both = (private + public).encode()
            credential = CertificateCredential(dev["tenant_id"], dev["client_id"], certificate_data=both)
            return credential.get_token(SCOPE).token

        checks.check("azure-identity: a token by certificate", azure_identity)


def with_azure_identity(checks, dev):
    from azure.core.exceptions import ClientAuthenticationError
    from azure.identity import ClientSecretCredential

    def token():
        credential = ClientSecretCredential(dev["tenant_id"], dev["client_id"], dev["client_secret"])
        return credential.get_token(SCOPE).token

    def refused():
        try:
            ClientSecretCredential(dev["tenant_id"], dev["client_id"], "wrong").get_token(SCOPE)
        except ClientAuthenticationError as error:
            expect("invalid_client" in str(error) or "7000215" in str(error), str(error))
        else:
            raise AssertionError("a token for a wrong secret")

    got = checks.check("azure-identity: a token with default settings", token)
    if got:
        ask_both_questions(checks, "azure-identity", dev, got)
    checks.check("azure-identity: a wrong secret is an authentication error", refused)


def with_strict_ssl(checks, dev):
    """The standard library, with the strictest verification there is."""

    def connect(host):
        context = ssl.create_default_context(cafile=dev["ca"])
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        with socket.create_connection((host, 443), timeout=30) as plain:
            with context.wrap_socket(plain, server_hostname=host) as secure:
                return secure.version()

    def every_name():
        for host in dev["hosts"]:
            connect(host)

    def untrusted():
        try:
            with socket.create_connection(("login.microsoftonline.com", 443), timeout=30) as plain:
                # Not through SSL_CERT_FILE, which trusts the CA.
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.wrap_socket(plain, server_hostname="login.microsoftonline.com")
        except ssl.SSLCertVerificationError:
            return
        raise AssertionError("accepted without the CA")

    checks.check(f"ssl: strict verification of all {len(dev['hosts'])} names", every_name)
    checks.check("ssl: who does not trust the CA is not let in", untrusted)

    def standard_library():
        with urllib.request.urlopen(
            "https://login.microsoftonline.com/common/discovery/instance?api-version=1.1", timeout=30
        ) as answer:
            expect(json.load(answer)["metadata"], "no metadata")

    checks.check("urllib: trusts SSL_CERT_FILE", standard_library)


def main(pintle):
    command = [pintle, "dev", "--fixed", "--json", "--http", "127.0.0.1:0", "--https", "127.0.0.1:0"]
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    checks = Checks()
    try:
        line = server.stdout.readline()
        if not line:
            print(f"{' '.join(command)} did not start", file=sys.stderr)
            return 1
        dev = json.loads(line)
        os.environ["REQUESTS_CA_BUNDLE"] = os.environ["SSL_CERT_FILE"] = dev["ca"]
        # What an environment of ours might have set must not get in between.
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "AZURE_AUTHORITY_HOST"):
            os.environ.pop(name, None)
        names = Names(dev["hosts"], int(dev["https"].rsplit(":", 1)[1]))
        with_msal(checks, dev)
        with_azure_identity(checks, dev)
        with_certificates(checks, pintle, dev)
        with_users(checks, pintle, dev)
        checks.check(
            "both went to the built-in hosts",
            lambda: expect({"login.microsoftonline.com", "api.securitycenter.microsoft.com"} <= names.asked, names.asked),
        )
        with_strict_ssl(checks, dev)
    finally:
        server.terminate()
        checks.check("pintle dev ends cleanly", lambda: expect(server.wait(timeout=60) == 0, server.returncode))
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 0 if checks.failed == 0 and checks.passed > 0 else 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: msal_and_azure_identity.py path/to/pintle")
    sys.exit(main(sys.argv[1]))
