//! How tokens are got: the token endpoints, the pages where users sign in, discovery.

use super::schema::{Object, Schema, always, maybe};
use super::{Answer, Body, Content, Entry, FORM, JSON, Parameter, Refusal};

const TENANT: &[Parameter] = &[Parameter::key(
    "tenant",
    Schema::Named("tenant"),
    "The tenant's name or GUID; `common` or `organizations`: the application's.",
)];

const REFUSED: Refusal = (400, "The flat error of OAuth, with the code that Microsoft's clients look at.");
const NOT_THE_CLIENT: Refusal = (401, "`invalid_client`: the application did not prove itself.");
const NOT_NOW: Refusal = (429, "Too many wrong credentials came from the address.");
const NO_ISSUER: Refusal = (500, "`server_error`: the server has no public URL, or its disk fails.");
const TOKEN_REFUSALS: &[Refusal] = &[REFUSED, NOT_THE_CLIENT, NOT_NOW, NO_ISSUER];
const PAGE_REFUSALS: &[Refusal] =
    &[(400, "A page that says why."), (429, "A page that says how long to wait.")];

const TOKEN_FORM: &[Content] = &[(FORM, Schema::Object(&TOKEN_ASKED))];
const TOKEN_ANSWER: &[Answer] =
    &[Answer { status: 200, about: "The token.", content: &[(JSON, Schema::Object(&TOKEN))] }];
const AUTHORIZE_CONTENT: &[Content] = &[(FORM, Schema::Object(&AUTHORIZE_FORM))];
const DEVICE_CONTENT: &[Content] = &[(FORM, Schema::Object(&DEVICE_ASKED))];
const DEVICE_ANSWER: &[Answer] =
    &[Answer { status: 200, about: "The codes.", content: &[(JSON, Schema::Object(&DEVICE))] }];
const HTML: &[Content] = &[("text/html", Schema::Text)];
const PAGE: &[Answer] = &[
    Answer {
        status: 200,
        about: "The page where the user signs in, or one that sends the browser on.",
        content: HTML,
    },
    Answer {
        status: 303,
        about: "Back to the application, with a code or with what went wrong.",
        content: &[],
    },
];
const DISCOVERY: &[Answer] =
    &[Answer { status: 200, about: "The document.", content: &[(JSON, Schema::Anything)] }];

const fn token(method: &'static str, path: &'static str, id: &'static str, meaning: &'static str) -> Entry {
    Entry {
        method,
        path,
        id,
        summary: "Get a token",
        meaning,
        keys: TENANT,
        body: Some(Body { is_required: true, content: TOKEN_FORM }),
        answers: TOKEN_ANSWER,
        refusals: TOKEN_REFUSALS,
        ..Entry::GET
    }
}

const fn authorize(method: &'static str, path: &'static str, id: &'static str) -> Entry {
    let is_form = matches!(method.as_bytes(), b"POST");
    Entry {
        method,
        path,
        id,
        summary: "Sign a user in",
        meaning: "The page of the authorization code flow with PKCE (S256), and where it is sent to.",
        keys: TENANT,
        query: if is_form { &[] } else { AUTHORIZE_QUERY },
        body: if is_form { Some(Body { is_required: true, content: AUTHORIZE_CONTENT }) } else { None },
        answers: PAGE,
        refusals: PAGE_REFUSALS,
        ..Entry::GET
    }
}

const fn device_code(path: &'static str, id: &'static str) -> Entry {
    Entry {
        method: "POST",
        path,
        id,
        summary: "Begin to sign in with a device",
        meaning: "Gives a code that the user types elsewhere while the device asks for its token.",
        keys: TENANT,
        body: Some(Body { is_required: true, content: DEVICE_CONTENT }),
        answers: DEVICE_ANSWER,
        refusals: TOKEN_REFUSALS,
        ..Entry::GET
    }
}

const fn discovery(path: &'static str, id: &'static str) -> Entry {
    Entry {
        path,
        id,
        summary: "Discover the issuer",
        meaning: "OpenID Connect's discovery document: where to get tokens, whose keys sign them.",
        keys: TENANT,
        answers: DISCOVERY,
        refusals: &[REFUSED, NO_ISSUER],
        ..Entry::GET
    }
}

const fn keys(path: &'static str, id: &'static str) -> Entry {
    Entry {
        path,
        id,
        summary: "Get the public keys",
        meaning: "The JSON Web Keys that tokens are verified with.",
        keys: TENANT,
        answers: DISCOVERY,
        ..Entry::GET
    }
}

const V1: &str = "The first version: `resource` names the API, numbers in the answer are texts.";
const V2: &str = "The second version: `scope` names what is asked for, numbers in the answer are numbers.";
const AS_GET: &str = "As by POST, with the form in the body: two shipped clients send it so.";

pub(super) static ENTRIES: &[Entry] = &[
    token("GET", "/{tenant}/oauth2/token", "token.v1.get", AS_GET),
    token("POST", "/{tenant}/oauth2/token", "token.v1", V1),
    token("GET", "/{tenant}/oauth2/v2.0/token", "token.v2.get", AS_GET),
    token("POST", "/{tenant}/oauth2/v2.0/token", "token.v2", V2),
    authorize("GET", "/{tenant}/oauth2/authorize", "authorize.v1.get"),
    authorize("POST", "/{tenant}/oauth2/authorize", "authorize.v1"),
    authorize("GET", "/{tenant}/oauth2/v2.0/authorize", "authorize.v2.get"),
    authorize("POST", "/{tenant}/oauth2/v2.0/authorize", "authorize.v2"),
    device_code("/{tenant}/oauth2/devicecode", "devicecode.v1"),
    device_code("/{tenant}/oauth2/v2.0/devicecode", "devicecode.v2"),
    Entry {
        path: "/{tenant}/oauth2/deviceauth",
        id: "deviceauth.get",
        summary: "Type a device's code",
        meaning: "The page where a user types the code that a device shows.",
        keys: TENANT,
        query: &[Parameter::option("user_code", Schema::Text, "The code, if the link has it.")],
        answers: &[Answer { status: 200, about: "The page.", content: HTML }],
        refusals: PAGE_REFUSALS,
        ..Entry::GET
    },
    Entry {
        method: "POST",
        path: "/{tenant}/oauth2/deviceauth",
        id: "deviceauth",
        summary: "Sign in for a device",
        meaning: "What that page sends.",
        keys: TENANT,
        body: Some(Body { is_required: true, content: &[(FORM, Schema::Object(&DEVICE_FORM))] }),
        answers: &[Answer { status: 200, about: "A page that says how it ended.", content: HTML }],
        refusals: PAGE_REFUSALS,
        ..Entry::GET
    },
    discovery("/{tenant}/.well-known/openid-configuration", "discovery.v1"),
    discovery("/{tenant}/v2.0/.well-known/openid-configuration", "discovery.v2"),
    keys("/{tenant}/discovery/keys", "keys.v1"),
    keys("/{tenant}/discovery/v2.0/keys", "keys.v2"),
    Entry {
        path: "/common/discovery/instance",
        id: "discovery.instance",
        summary: "Discover the sign-in hosts",
        meaning: "Which hosts are one and the same: MSAL asks before it trusts an authority.",
        query: &[
            Parameter::option("api-version", Schema::Text, "Which form of the answer; there is one."),
            Parameter::option(
                "authorization_endpoint",
                Schema::Text,
                "The URL where the client is about to sign in.",
            ),
        ],
        answers: DISCOVERY,
        ..Entry::GET
    },
];

const AUTHORIZE_QUERY: &[Parameter] = &[
    Parameter {
        is_required: true,
        ..Parameter::option("client_id", Schema::Text, "The application's client id.")
    },
    Parameter {
        is_required: true,
        ..Parameter::option("response_type", Schema::OneOf(&["code"]), "Only codes are given.")
    },
    Parameter::option(
        "redirect_uri",
        Schema::Text,
        "Where the user is sent back to: one that the application has.",
    ),
    Parameter::option(
        "response_mode",
        Schema::OneOf(&["query", "fragment", "form_post"]),
        "How the code is sent back.",
    ),
    Parameter::option("scope", Schema::Text, "What is asked for, in the second version."),
    Parameter::option("resource", Schema::Text, "The API, in the first version."),
    Parameter::option("state", Schema::Text, "Sent back as it came."),
    Parameter::option("nonce", Schema::Text, "Put into the id token."),
    Parameter::option("code_challenge", Schema::Text, "PKCE's challenge; public applications need one."),
    Parameter::option("code_challenge_method", Schema::OneOf(&["S256"]), "How it was made."),
];

static AUTHORIZE_FORM: Object = Object::given(
    "AuthorizeForm",
    "What the sign-in page sends: the request as it came, and what the user typed.",
    &[
        always("client_id", Schema::Text, "As it came."),
        always("response_type", Schema::Text, "As it came."),
        maybe("username", Schema::Text, "The user's name."),
        maybe("password", Schema::Text, "The user's password."),
        maybe("decision", Schema::OneOf(&["allow", "decline"]), "Which button was pressed."),
    ],
);

static TOKEN_ASKED: Object = Object::given(
    "TokenRequest",
    "What a token is asked for with; which fields there must be follows from `grant_type`.",
    &[
        always(
            "grant_type",
            Schema::Text,
            "`client_credentials`, `authorization_code`, `refresh_token`, `urn:ietf:params:oauth:grant-type:device_code`, or `password` where it is on.",
        ),
        maybe("client_id", Schema::Text, "The application's client id; it may stand in HTTP Basic instead."),
        maybe("client_secret", Schema::Text, "Its secret; it may stand in HTTP Basic instead."),
        maybe(
            "client_assertion",
            Schema::Text,
            "A JWT signed with the key of a certificate, instead of a secret.",
        ),
        maybe(
            "client_assertion_type",
            Schema::Text,
            "`urn:ietf:params:oauth:client-assertion-type:jwt-bearer`.",
        ),
        maybe("resource", Schema::Text, "The API, in the first version."),
        maybe("scope", Schema::Text, "What is asked for, in the second version."),
        maybe("code", Schema::Text, "The code of `authorization_code`."),
        maybe("redirect_uri", Schema::Text, "Where that code was sent to."),
        maybe("code_verifier", Schema::Text, "What PKCE's challenge was made of."),
        maybe("refresh_token", Schema::Text, "The token of `refresh_token`."),
        maybe("device_code", Schema::Text, "The code of a device."),
        maybe("username", Schema::Text, "The user of `password`."),
        maybe("password", Schema::Text, "Their password."),
    ],
);

static TOKEN: Object = Object::given(
    "Token",
    "A token. Numbers are texts in the first version.",
    &[
        always("token_type", Schema::OneOf(&["Bearer"]), "How it is sent."),
        always("access_token", Schema::Text, "The token."),
        always("expires_in", Schema::Anything, "Seconds that it is good for."),
        always("ext_expires_in", Schema::Anything, "The same."),
        maybe("scope", Schema::Text, "What a user's token is good for."),
        maybe("refresh_token", Schema::Text, "What to get the next one with."),
        maybe("id_token", Schema::Text, "Who signed in."),
    ],
);

static DEVICE_ASKED: Object = Object::given(
    "DeviceCodeRequest",
    "What a device's code is asked for with.",
    &[
        always("client_id", Schema::Text, "The application's client id."),
        maybe("resource", Schema::Text, "The API, in the first version."),
        maybe("scope", Schema::Text, "What is asked for, in the second version."),
    ],
);

static DEVICE: Object = Object::given(
    "DeviceCode",
    "A device's codes. Numbers are texts in the first version.",
    &[
        always("user_code", Schema::Text, "What the user types."),
        always("device_code", Schema::Text, "What the device asks for its token with."),
        always("expires_in", Schema::Anything, "Seconds that both are good for."),
        always("interval", Schema::Anything, "Seconds to wait between two questions."),
        always("message", Schema::Text, "What to show to the user."),
    ],
);

static DEVICE_FORM: Object = Object::given(
    "DeviceForm",
    "What the page for a device sends.",
    &[
        always("user_code", Schema::Text, "The code that the device shows."),
        maybe("username", Schema::Text, "The user's name."),
        maybe("password", Schema::Text, "The user's password."),
        maybe("decision", Schema::OneOf(&["allow", "decline"]), "Which button was pressed."),
    ],
);

/// The flat error of OAuth.
pub(super) static OAUTH_ERROR: Object = Object::given(
    "OAuthError",
    "Why no token was given.",
    &[
        always("error", Schema::Text, "The word of OAuth."),
        always("error_description", Schema::Text, "A sentence for people."),
        always(
            "error_codes",
            Schema::List(&Schema::Number(0, u32::MAX as u64)),
            "The numbers that clients look at.",
        ),
        always("timestamp", Schema::Text, "When."),
        always("trace_id", Schema::Guid, "The id of this answer."),
        always("correlation_id", Schema::Guid, "The id of the request, if it had one."),
    ],
);
