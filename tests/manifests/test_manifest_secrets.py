"""Where references lead."""

import pytest

from gateway.manifests import Secrets

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
