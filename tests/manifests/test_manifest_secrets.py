"""Where references lead."""

import pytest

from gateway.manifests import Secrets
from gateway.manifests.secrets import references
from gateway.sealing import Seal

ENVIRON = {"LLM_KEYS_OPEN_AI": "canary-env", "TENANT": "acme", "EMPTY": "", "NESTED": "${TENANT}"}


@pytest.fixture
def secrets(tmp_path):
    for name, value in {
        "openai": b"canary-file\n",
        "crlf": b"a\nb\r\n",
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
        ("a=tfy-secret://acme:llm-keys:openai; b=tfy-secret://x:llm-keys:crlf", "a=canary-file; b=a\nb"),
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
    secrets = Secrets({"LLM_KEYS_OPENAI": "from-env", "_GROUP___KEY_": "odd"})

    assert secrets.resolve("tfy-secret://acme:llm-keys:openai").reveal() == "from-env"
    assert secrets.resolve("tfy-secret://<tenant>:<group>:<key>").reveal() == "odd"


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


# --- secrets and manifests that came over the API ----------------------------

SEAL = Seal(b"a-pepper-of-some-length")


def with_stored(environ=None, directory=None, *, groups=()):
    stored = {("keys", "openai"): SEAL.close("canary-store"), ("keys", "empty"): SEAL.close("")}
    return Secrets(environ or {}, directory, stored=stored, groups=groups, seal=SEAL)


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

    assert found(with_stored(environ, tmp_path, groups=["keys"])) == "from the file"
    assert found(with_stored(environ, groups=["keys"])) == "from the environment"
    assert found(with_stored(groups=["keys"])) == "canary-store"


@pytest.mark.parametrize("key", ["secret_access_key", "openai"])
def test_a_group_of_the_api_holds_nothing_of_the_operators(tmp_path, key):
    """Whoever made a group `aws` could else have `AWS_SECRET_ACCESS_KEY`, or a mounted secret, sent to himself."""
    (tmp_path / "aws").mkdir()
    (tmp_path / "aws" / "openai").write_text("canary")
    secrets = with_stored({"AWS_SECRET_ACCESS_KEY": "canary"}, tmp_path, groups=["aws"]).for_stored()

    with pytest.raises(ValueError, match="secret is missing") as caught:
        secrets.resolve(f"tfy-secret://acme:aws:{key}")

    assert str(caught.value) == f"secret is missing or empty: no {key} in the secret group aws"


def test_other_groups_are_found_for_stored_manifests_as_well(tmp_path):
    """Referring to them takes a grant, which only an admin can give where there is no group of that name."""
    (tmp_path / "mounted").mkdir()
    (tmp_path / "mounted" / "key").write_text("from the file")
    secrets = with_stored({"OF_THE_ENV": "from the environment"}, tmp_path, groups=["keys"]).for_stored()

    assert secrets.resolve("tfy-secret://acme:mounted:key").reveal() == "from the file"
    assert secrets.resolve("tfy-secret://acme:of-the:env").reveal() == "from the environment"


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
@pytest.mark.parametrize("is_stored", [True, False])
def test_a_secret_that_is_not_there_or_nobodys_business(reference, message, is_stored):
    """The gateway's own variables open everything else, so no reference leads to them."""
    environ = {f"GATEWAY_{name}": "canary" for name in ("PEPPER", "ADMIN_TOKEN", "TOKENS", "DATABASE_URL")}
    secrets = with_stored(environ)

    with pytest.raises(ValueError, match="secret is missing") as caught:
        (secrets.for_stored() if is_stored else secrets).resolve(f"tfy-secret://acme:{reference}")

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
