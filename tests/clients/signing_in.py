"""MSAL signs a user in: by authorization code with PKCE and by device code, at the pages that people see,
and goes on with refresh tokens."""

import html.parser
import urllib.parse

from checks import API, ask_both_questions, by_command, expect

SCOPES = [API + "/Machine.Read", API + "/File.Read.All"]
NAME = "alice@example.org"


class Form(html.parser.HTMLParser):
    """The fields of a page's form, and the page's text."""

    def __init__(self, page):
        super().__init__()
        self.fields, self.text = {}, ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "input" and "name" in attributes:
            self.fields[attributes["name"]] = attributes.get("value", "")

    def handle_data(self, data):
        self.text += data


def set_up(pintle, dev):
    """A user who may view data, and a public application; gives its client id and the user's password."""
    by_command(pintle, dev, "group", "create", "analysts")
    by_command(pintle, dev, "role", "create", "investigate", "--permission", "view-data", "--group", "analysts")
    user = by_command(pintle, dev, "user", "create", NAME, "--display-name", "Alice", "--group", "analysts")
    expect(user["roles"] == ["investigate"] and len(user["password"]) >= 12, user)
    client = by_command(
        pintle, dev, "client", "create", "console", "--public",
        "--delegated", "Machine.Read.All,File.Read.All", "--redirect-uri", "http://localhost",
    )
    expect("secret" not in client and client["public"], client)
    return client["client_id"], user["password"]


def sign_in_at(url, password):
    """Opens the page, types name and password, and posts its form, as a browser does."""
    import requests

    page = requests.get(url, timeout=30)
    expect(page.status_code == 200, f"{page.status_code} {page.text[:300]}")
    form = Form(page.text)
    expect("Read all machine profiles" in form.text, form.text)
    fields = {**form.fields, "username": NAME, "password": password, "decision": "allow"}
    return requests.post(url, data=fields, timeout=30, allow_redirects=False)


def with_users(checks, pintle, dev):
    import msal

    made = checks.check("a user, a role and a public client are made by command", lambda: set_up(pintle, dev))
    if not made:
        return
    client_id, password = made

    def application(tenant=dev["tenant_id"]):
        return msal.PublicClientApplication(client_id, authority="https://login.microsoftonline.com/" + tenant)

    def by_code(app, response_mode=None):
        flow = app.initiate_auth_code_flow(SCOPES, redirect_uri="http://localhost:8400", response_mode=response_mode)
        answer = sign_in_at(flow["auth_uri"], password)
        if response_mode == "form_post":
            expect(answer.status_code == 200, f"{answer.status_code} {answer.text[:300]}")
            sent = Form(answer.text).fields
        else:
            expect(answer.status_code == 303, f"{answer.status_code} {answer.text[:300]}")
            sent = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(answer.headers["Location"]).query))
        got = app.acquire_token_by_auth_code_flow(flow, sent)
        expect("access_token" in got, got)
        expect(got["id_token_claims"]["preferred_username"] == NAME, got["id_token_claims"])
        return got

    def by_device_code(app):
        flow = app.initiate_device_flow(SCOPES)
        expect("user_code" in flow and flow["user_code"] in flow["message"], flow)
        # The page is on the server's own name; the URL names it.
        url = flow["verification_uri"] + "?" + urllib.parse.urlencode({"user_code": flow["user_code"]})
        answer = sign_in_at(url, password)
        expect(answer.status_code == 200 and "Signed in" in answer.text, answer.text[:300])
        got = app.acquire_token_by_device_flow(flow)
        expect("access_token" in got, got)
        return got

    def refreshed():
        app = application()
        first = by_code(app)
        [account] = app.get_accounts(NAME)
        again = app.acquire_token_silent(SCOPES, account, force_refresh=True)
        expect(again and again["access_token"] != first["access_token"], again)
        third = app.acquire_token_silent(SCOPES, account, force_refresh=True)
        expect(third and third["access_token"] != again["access_token"], third)
        return third

    for what, flow in [
        ("authorization code", lambda: by_code(application())),
        ("authorization code, posted", lambda: by_code(application(), "form_post")),
        ("authorization code at /organizations", lambda: by_code(application("organizations"))),
        ("device code", lambda: by_device_code(application())),
        ("refresh tokens", refreshed),
    ]:
        got = checks.check(f"msal: a user's token by {what}", flow)
        if got:
            ask_both_questions(checks, f"msal by {what}", dev, got["access_token"])

    def wrong_password():
        flow = application().initiate_auth_code_flow(SCOPES, redirect_uri="http://localhost:8400")
        answer = sign_in_at(flow["auth_uri"], "wrong")
        expect(answer.status_code == 400 and "is wrong" in answer.text, answer.text[:300])

    checks.check("a wrong password stays on the page", wrong_password)
