"""Where references lead."""

import pytest

from gateway.manifests import Secrets
from gateway.manifests.references import FormOnly, references
from gateway.secrecy.sealing import Seal

SEAL = Seal(b"a-pepper-of-some-length")
ENVIRON = {"LLM_KEYS_OPEN_AI": "canary-env", "TENANT": "acme", "EMPTY": "", "NESTED": "${TENANT}"}


@pytest.fixture
def secrets(tmp_path):
    for name, value in {
        "openai": b"canary-file\n",
        "crlf": b"\xef\xbb\xbfcanary-crlf\r\n",
        "latin": b"canary\xff",
        "empty": b"\n",
    }.items():
        (tmp_path / "llm-keys").mkdir(exist_ok=True)
        (tmp_path / "llm-keys" / name).write_bytes(value)
    return Secrets(ENVIRON, tmp_path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("sk-plain", "sk-plain"),
        ("", ""),
        ("tfy-secret://acme:llm-keys:openai", "canary-file"),
        ("Bearer tfy-secret://acme:llm-keys:openai", "Bearer canary-file"),
        ("a=tfy-secret://acme:llm-keys:openai; b=tfy-secret://x:llm-keys:crlf", "a=canary-file; b=canary-crlf"),
        ('{"key": "tfy-secret://acme:llm-keys:openai"}', '{"key": "canary-file"}'),
        ("tfy-secret://acme:llm-keys:open.ai", "canary-env"),
        ("tfy-secret://${TENANT}:llm-keys:openai", "canary-file"),
        ("${LLM_KEYS_OPEN_AI}", "canary-env"),
        ("$${TENANT} costs $$5", "${TENANT} costs $$5"),
    ],
)
def test_resolves(secrets, text, value):
    """From the file where there is one, else from the environment."""
    assert secrets.resolve(text).reveal() == value


def test_the_environment_is_enough():
    secrets = Secrets({"LLM_KEYS_OPENAI": "from-env"})

    assert secrets.resolve("tfy-secret://acme:llm-keys:openai").reveal() == "from-env"
    assert secrets.resolve("tfy-secret://<tenant>:llm-keys:openai").reveal() == "from-env"


@pytest.mark.parametrize("reference", ["<tenant>:<group>:<key>", "acme:<group>:openai", "acme:keys:{key}", "t:...:..."])
@pytest.mark.parametrize("kind", [Secrets, FormOnly])
def test_a_template_is_no_reference(kind, reference):
    """It was looked for as `_GROUP___KEY_`."""
    with pytest.raises(ValueError, match="this is a placeholder: put the names of a secret's group and key into"):
        kind({"_GROUP___KEY_": "canary"}).resolve(f"tfy-secret://{reference}")


def test_a_value_is_not_looked_into():
    """A key may hold anything, even what looks like a reference."""
    secrets = Secrets({"G_K": "${HOME} tfy-secret://t:g:k", "HOME": "x"})

    assert secrets.resolve("tfy-secret://t:g:k").reveal() == "${HOME} tfy-secret://t:g:k"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("http://${TENANT}.local", "http://acme.local"),
        ("${MISSING:-a}${EMPTY:-b}${MISSING:-}", "ab"),
        ("${TENANT:-other}", "acme"),
        ("${NESTED}", "${TENANT}"),
        ("no $TENANT here", "no $TENANT here"),
        ("tfy-secret://t:g:k", "tfy-secret://t:g:k"),
    ],
)
def test_expands_variables(secrets, text, value):
    assert secrets.expand(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${MISSING}", "environment variable MISSING is missing or empty; write $${ for a literal ${"),
        ("${EMPTY}", "environment variable EMPTY is missing or empty; write $${ for a literal ${"),
        ("${no-name}", "a variable is written ${NAME} or ${NAME:-default}; write $${ for a literal ${"),
        ("${open", "a variable is written ${NAME} or ${NAME:-default}; write $${ for a literal ${"),
    ],
)
def test_says_which_variable_is_missing(secrets, text, message):
    with pytest.raises(ValueError, match="variable") as caught:
        secrets.resolve(text)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    "reference",
    [
        "a:../etc:passwd",
        "a:..:x",
        "a:g:..",
        "a:g:a/b",
        "a:g:..data",
        "a:g:\\x",
        "a:g",
        "a:g:k:x",
        "a::k",
        "",
        "a:g:/etc",
    ],
)
def test_refuses_what_could_leave_the_directory(secrets, reference):
    with pytest.raises(ValueError, match="a secret is written"):
        secrets.resolve(f"tfy-secret://{reference}")


def test_says_where_it_looked(secrets, tmp_path):
    with pytest.raises(ValueError, match="missing") as caught:
        secrets.resolve("tfy-secret://acme:llm-keys:empty")
    assert str(caught.value) == (
        f"secret is missing or empty: neither file {tmp_path}/llm-keys/empty nor environment variable LLM_KEYS_EMPTY"
    )

    with pytest.raises(ValueError, match="missing") as caught:
        Secrets({}).resolve("tfy-secret://acme:llm-keys:a-b")
    assert str(caught.value) == "secret is missing or empty: no environment variable LLM_KEYS_A_B"


@pytest.mark.parametrize(
    ("group", "key", "message"),
    [
        ("llm-keys", "latin", "secret in {} is not UTF-8 text"),
        ("x", "y", "secret cannot be read from {}: Is a directory"),
    ],
)
def test_says_what_is_wrong_with_a_file(secrets, tmp_path, group, key, message):
    (tmp_path / "x" / "y").mkdir(parents=True)

    with pytest.raises(ValueError, match="secret") as caught:
        secrets.resolve(f"tfy-secret://acme:{group}:{key}")

    assert str(caught.value) == message.format(tmp_path / group / key)
    assert "canary" not in repr(caught.getrepr(style="long"))


# --- what cannot be sent -----------------------------------------------------


@pytest.mark.parametrize("around", ["\n", "\r\n", "\ufeff", "\u200b", "\u2060\n"])
@pytest.mark.parametrize(
    "text", ["${KEY}", "tfy-secret://t:g:key", "tfy-secret://t:keys:key", "tfy-secret://t:k:k", "as it is"]
)
def test_what_is_around_a_value_is_none_of_it(tmp_path, around, text):
    """A file's line break was left out, and no other; and a variable's none."""
    value = f"{around}as it is{around}"
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "key").write_bytes(value.encode())
    stored = {("k", "k"): SEAL.close(value)}
    secrets = Secrets({"KEY": value, "KEYS_KEY": value}, tmp_path, stored=stored, seal=SEAL)

    assert secrets.resolve(text if text != "as it is" else value).reveal() == "as it is"
    assert secrets.resolve(f"Bearer {text}").reveal() == "Bearer as it is"
    assert secrets.expand("${KEY}/v1") == "as it is/v1"


@pytest.mark.parametrize(
    ("inside", "what"),
    [
        ("\n", "a line break"),
        ("\r\n", "a line break"),
        ("\t", "a tab"),
        ("\0", "the character NUL"),
        ("\x1b", "a control character"),
        ("\x7f", "a control character"),
        ("\x85", "a control character"),
        ("\u200b", "an invisible character"),
        ("\u2019", "a character that is not in Latin-1"),
        ("\u2028", "a character that is not in Latin-1"),
        ("\udc80", "bytes that are not UTF-8"),
    ],
)
def test_what_no_header_can_carry_is_named_with_its_place(tmp_path, inside, what):
    """The gateway did not start, and said neither which secret it was nor where it stood."""
    value = f"canary{inside}canary"
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "key").write_bytes(value.encode(errors="replace"))
    stored = {("k", "k"): SEAL.close(value.encode(errors="replace").decode())}
    secrets = Secrets({"KEY": value, "KEYS_KEY": value}, tmp_path, stored=stored, seal=SEAL)

    def said(text, of=secrets):
        with pytest.raises(ValueError, match="holds") as caught:
            of.resolve(text)
        assert "canary" not in str(caught.value)
        return str(caught.value)

    assert said("${KEY}") == said("${KEY:-x}") == f"environment variable KEY holds {what}, which cannot be sent"
    assert said("Bearer tfy-secret://t:keys:key") == f"environment variable KEYS_KEY holds {what}, which cannot be sent"
    assert said(value) == f"the text holds {what}, which cannot be sent"
    if inside != "\udc80":
        assert said("tfy-secret://t:g:key") == f"file {tmp_path}/g/key holds {what}, which cannot be sent"
        assert said("tfy-secret://t:k:k") == f"the secret k of the group k holds {what}, which cannot be sent"
        assert said("tfy-secret://t:k:k", secrets.for_stored()).startswith("the secret k of the group k holds")


def test_any_text_may_be_a_secret_that_is_encoded_before_it_is_sent():
    """Such as a password, or a key file."""
    secrets = Secrets({"KEY": "a\tb\n\u2019c\n", "NUL": "\0", "BYTES": "\udc80"})

    assert secrets.resolve("${KEY}", is_any_text=True).reveal() == secrets.expand("${KEY}") == "a\tb\n\u2019c"
    for name, what in (("NUL", "the character NUL"), ("BYTES", "bytes that are not UTF-8")):
        for read in (secrets.expand, lambda text: secrets.resolve(text, is_any_text=True)):
            with pytest.raises(ValueError, match=f"environment variable {name} holds {what}"):
                read(f"${{{name}}}")


# --- without secrets ---------------------------------------------------------


def test_the_form_alone():
    """A check where the secrets are not: nothing is looked up, and what is not there has a stand-in."""
    secrets = FormOnly({"TENANT": "acme", "KEYS_OPENAI": "canary"})

    assert secrets.resolve("Bearer tfy-secret://acme:keys:openai").reveal() == "Bearer https://openai.keys.example"
    assert secrets.resolve("${SOME_KEY}").reveal() == "https://some-key.example"
    assert secrets.expand("${TENANT} ${MISSING:-x} ${SOME_HOST}", "{}") == "acme x some-host"
    for text in ("tfy-secret://keys:openai", "tfy-secret://t:..:x", "${no-name}", "${open"):
        with pytest.raises(ValueError, match="is written"):
            secrets.resolve(text)


# --- secrets and manifests that came over the API ----------------------------


def with_stored(environ=None, directory=None):
    stored = {("keys", "openai"): SEAL.close("canary-store"), ("keys", "empty"): SEAL.close("")}
    return Secrets(environ or {}, directory, stored=stored, seal=SEAL)


def test_a_stored_secret_is_found():
    assert with_stored().resolve("Bearer tfy-secret://acme:keys:openai").reveal() == "Bearer canary-store"
    assert with_stored().for_stored().resolve("tfy-secret://acme:keys:openai").reveal() == "canary-store"


def test_what_is_the_operators_own_comes_first(tmp_path):
    """Whoever may make groups over the API could else take the place of a key that the operator's manifests name, and
    read along at the provider."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "openai").write_text("from the file")
    environ = {"KEYS_OPENAI": "from the environment"}

    def found(secrets):
        return secrets.resolve("tfy-secret://acme:keys:openai").reveal()

    assert found(with_stored(environ, tmp_path)) == "from the file"
    assert found(with_stored(environ)) == "from the environment"
    assert found(with_stored()) == "canary-store"


@pytest.mark.parametrize("reference", ["aws:secret_access_key", "aws:openai", "keys:openai", "keys:none", "keys:empty"])
def test_a_stored_manifest_refers_to_what_is_stored_and_nothing_else(tmp_path, reference):
    """Whoever made a group `aws` could have `AWS_SECRET_ACCESS_KEY`, or a mounted secret, sent to himself; and so could
    who deleted a group `openai` of his own, for what had referred to it went on with the operator's key."""
    for group in ("aws", "keys"):
        (tmp_path / group).mkdir()
        (tmp_path / group / "openai").write_text("canary")
    environ = {
        "AWS_SECRET_ACCESS_KEY": "canary",
        "KEYS_OPENAI": "canary",
        "KEYS_NONE": "canary",
        "KEYS_EMPTY": "canary",
    }
    secrets = with_stored(environ, tmp_path).for_stored()

    if reference == "keys:openai":
        assert secrets.resolve(f"tfy-secret://acme:{reference}").reveal() == "canary-store"
        return
    with pytest.raises(ValueError, match="secret is missing") as caught:
        secrets.resolve(f"tfy-secret://acme:{reference}")

    group, key = reference.split(":")
    assert str(caught.value) == (
        f"secret is missing or empty: no {key} in the secret group {group} of the database, where manifests that are "
        "applied over the API have their secrets"
    )


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("keys:none", "secret is missing or empty: no environment variable KEYS_NONE"),
        ("keys:empty", "secret is missing or empty: no environment variable KEYS_EMPTY"),
        ("gateway:pepper", "secret is missing or empty: no environment variable GATEWAY_PEPPER"),
        ("gateway:admin-token", "secret is missing or empty: no environment variable GATEWAY_ADMIN_TOKEN"),
        ("Gateway:Tokens", "secret is missing or empty: no environment variable GATEWAY_TOKENS"),
        ("gateway-database:url", "secret is missing or empty: no environment variable GATEWAY_DATABASE_URL"),
    ],
)
def test_a_secret_that_is_not_there_or_nobodys_business(reference, message):
    """The gateway's own variables open everything else, so no reference leads to them."""
    environ = {f"GATEWAY_{name}": "canary" for name in ("PEPPER", "ADMIN_TOKEN", "TOKENS", "DATABASE_URL")}

    with pytest.raises(ValueError, match="secret is missing") as caught:
        with_stored(environ).resolve(f"tfy-secret://acme:{reference}")

    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["${HOME}", "a ${HOME} b", "${HOME:-x}", "${", "${MISSING}"])
def test_a_stored_manifest_cannot_read_the_environment(text):
    secrets = with_stored({"HOME": "canary"}).for_stored()

    for read in (secrets.resolve, secrets.expand, lambda text: secrets.resolve(SEAL.close(text))):
        with pytest.raises(ValueError, match="cannot read the gateway's environment") as caught:
            read(text)
        assert "canary" not in str(caught.value)


def test_a_sealed_secret_is_opened_for_stored_manifests_alone():
    """In a file it is text like any other; nobody can move a sealed value there and have it opened."""
    sealed = SEAL.close("tfy-secret://acme:keys:openai")

    assert with_stored().for_stored().resolve(sealed).reveal() == "canary-store"
    assert with_stored().resolve(sealed).reveal() == sealed
    assert Secrets({}).for_stored().resolve(sealed).reveal() == sealed


def test_a_stored_secret_that_cannot_be_opened_says_why():
    other = Secrets({}, stored={("keys", "k"): Seal(b"another").close("canary")}, seal=SEAL)

    for text in ("tfy-secret://acme:keys:k", Seal(b"another").close("canary")):
        with pytest.raises(ValueError, match="GATEWAY_PEPPER has changed") as caught:
            other.for_stored().resolve(text)
        assert "canary" not in str(caught.value)


def test_without_a_seal_nothing_stored_is_found():
    with pytest.raises(ValueError, match="no environment variable KEYS_OPENAI"):
        Secrets({}, stored={("keys", "openai"): "plain"}).resolve("tfy-secret://acme:keys:openai")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("sk-plain", []),
        ("tfy-secret://acme:llm-keys:openai", [("llm-keys", "openai")]),
        ("a=tfy-secret://t:g:k; b=tfy-secret://t:h:l,tfy-secret://t:i:m", [("g", "k"), ("h", "l"), ("i", "m")]),
        ("tfy-secret://g:k", []),
        ("tfy-secret://t:g:k:x", []),
    ],
)
def test_what_a_text_refers_to(text, found):
    assert references(text) == found
