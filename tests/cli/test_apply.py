"""`gateway apply` and `gateway diff`, without git."""

import pytest

TEAM = {"type": "team", "name": "ops", "members": []}
ACCOUNT = {"type": "provider-account/openai", "name": "main", "auth_data": {"type": "api-key", "api_key": "${KEY}"}}
FILES = """\
type: provider-account/openai
name: main
auth_data: {type: api-key, api_key: "${KEY}"}
---
type: team
name: ops
members: []
"""
CREATED = {"action": "CREATE", "manifest": {}, "existingManifest": None, "version": 1, "warnings": []}
UNCHANGED = {**CREATED, "changed": False, "existingManifest": {}, "version": 3}


@pytest.fixture
def file(tmp_path):
    (tmp_path / "gateway.yaml").write_text(FILES)
    return "gateway.yaml"


def all_of(*applied):
    """What the gateway answers to several steps."""
    return {"data": list(applied)}


def sent(control):
    """The manifests of each request, whether it has one or several."""
    bodies = [step for _, _, body in control.requests for step in body.get("steps", [body])]
    return [(body["manifest"].get("type"), body["manifest"].get("name")) for body in bodies]


def test_applies_what_others_refer_to_first(cli, control, file):
    control.answer(all_of(CREATED, {**CREATED, "action": "UPDATE", "version": 4}))

    result = cli("apply", "-f", file)

    assert result.output == "created team ops (version 1)\nupdated provider-account/openai main (version 4)\n"
    assert result.exit_code == 0
    assert control.requests == [
        ("PUT", "/apply/all", {"steps": [{"manifest": TEAM}, {"manifest": ACCOUNT}], "dryRun": False})
    ]


def test_the_order_of_types(cli, control, tmp_path):
    """Types that are not known come last, and files count where types do not."""
    types = [
        "brand-new",
        "gateway-budget-config",
        "role-binding",
        "virtual-account",
        "mcp-server/virtual",
        "mcp-server/remote",
        "provider-account/virtual-model",
        "provider-account/openai",
        "provider-account/azure-openai",
        "secret-group",
        "role",
        "team",
        "identity-provider",
    ]
    for number, type_ in enumerate(types):
        (tmp_path / f"{number:02}.yaml").write_text(f"type: {type_}\nname: n\n")
    control.answer(all_of(*[CREATED] * len(types)))

    assert cli("apply", "-d", ".").exit_code == 0

    in_order = [type_ for type_, _ in sent(control)]
    azure, openai = in_order.index("provider-account/azure-openai"), in_order.index("provider-account/openai")
    assert azure == openai + 1
    assert in_order == [
        "identity-provider",
        "team",
        "role",
        "secret-group",
        "provider-account/openai",
        "provider-account/azure-openai",
        "provider-account/virtual-model",
        "mcp-server/remote",
        "mcp-server/virtual",
        "virtual-account",
        "role-binding",
        "gateway-budget-config",
        "brand-new",
    ]


def test_a_directory_and_all_below(cli, control, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.yml").write_text("- {type: team, name: b}\n- {type: team, name: c}\n")
    (tmp_path / "a.json").write_text('{"type": "team", "name": "\\ud83d\\ude00"}')
    (tmp_path / "notes.txt").write_text("type: team")
    control.answer(all_of(CREATED, CREATED, CREATED))

    cli("apply", "-d", ".")

    assert sent(control) == [("team", "😀"), ("team", "b"), ("team", "c")]


@pytest.mark.parametrize("text", ["type: team\nname: 😀\n", '{"type": "team", "name": "\\ud83d\\ude00"}'])
def test_standard_input(cli, control, text):
    control.answer(CREATED)

    result = cli("apply", "-f", "-", given=text)

    assert result.exit_code == 0
    assert sent(control) == [("team", "😀")]


def test_a_manifest_without_a_name_is_sent_as_it_is(cli, control, tmp_path):
    (tmp_path / "a.yaml").write_text("type: gateway-budget-config\nrules: []\n")
    control.answer(CREATED)

    result = cli("apply", "-f", "a.yaml")

    assert result.output == "created gateway-budget-config gateway-budget-config (version 1)\n"
    assert control.requests[0][2]["manifest"] == {"type": "gateway-budget-config", "rules": []}


def test_nothing_is_sent_when_anything_is_wrong(cli, control, file, tmp_path):
    (tmp_path / "b.yaml").write_text("type: team\nname: b\n---\nname: no-type\n")
    (tmp_path / "c.yaml").write_text("{type: team, name: 5}\n")

    result = cli("apply", "-f", file, "-f", "b.yaml", "-f", "c.yaml")

    assert result.stderr.splitlines() == [
        "Error: 2 faults, so nothing was sent",
        "b.yaml:4: a manifest is a mapping with a `type`",
        "c.yaml:1: name: must be text; put it in quotes",
    ]
    assert result.exit_code == 1
    assert control.requests == []


def test_two_of_one_name_in_two_files(cli, control, file, tmp_path):
    (tmp_path / "b.yaml").write_text("\ntype: team\nname: ops\n")

    result = cli("apply", "-f", file, "-f", "b.yaml")

    assert result.stderr.splitlines() == [
        "Error: 1 fault, so nothing was sent",
        "b.yaml:3: name: a second team named 'ops'; the first is in gateway.yaml:5",
    ]


def test_standard_input_that_is_not_text(cli):
    result = cli("apply", "-f", "-", given=b"\xff")

    assert result.stderr == "Error: what came on standard input is not UTF-8 text\n"


REFUSED = {"error": {"message": "auth_data: missing", "param": "steps[1]"}}


def test_when_one_is_refused_nothing_is_changed(cli, control, file):
    control.answer(REFUSED, 400)

    result = cli("apply", "-f", file)

    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "Error: gateway.yaml:1: provider-account/openai main: auth_data: missing",
        "nothing was changed; --keep-going applies what can be",
    ]
    assert result.exit_code == 1
    assert len(control.requests) == 1


@pytest.mark.parametrize("param", [None, "steps[9]", "steps[x]", "manifest"])
def test_a_refusal_that_names_no_step(cli, control, file, param):
    control.answer({"error": {"message": "no", "param": param}}, 403)

    assert cli("apply", "-f", file).stderr.startswith("Error: this token may not do that: no\n")


def test_keeps_going(cli, control, tmp_path):
    """What is refused is named at the end."""
    (tmp_path / "a.yaml").write_text(FILES + "---\ntype: virtual-account\nname: ci\n")
    control.answer(CREATED)
    control.answer({"message": "auth_data: missing"}, 400)
    control.answer(CREATED)

    result = cli("apply", "-f", "a.yaml", "--keep-going")

    assert result.stdout == "created team ops (version 1)\ncreated virtual-account ci (version 1)\n"
    assert result.stderr.splitlines() == [
        "Error: refused: 1 of 3",
        "a.yaml:1: provider-account/openai main: auth_data: missing",
    ]
    assert result.exit_code == 1
    assert [path for _, path, _ in control.requests] == ["/apply", "/apply", "/apply"]


def test_does_not_keep_going_when_nobody_answers(cli, control, file):
    """Every further step would wait as long."""
    control.answer(CREATED)
    control.answer(b"", None)

    result = cli("apply", "-f", file, "--keep-going")

    assert "gave no answer" in result.stderr
    assert result.exit_code == 1


def test_shows_warnings_where_they_belong(cli, control, tmp_path):
    (tmp_path / "a.yaml").write_text("\ntype: team\nname: ops\n")
    control.answer({**CREATED, "warnings": ["nmae: not known\x1b[2J"]})

    result = cli("apply", "-f", "a.yaml")

    assert result.stdout == "created team ops (version 1)\n"
    assert result.stderr == "a.yaml:2: nmae: not known\\x1b[2J (warning)\n"


def test_dry_run(cli, control, file):
    updated = {**CREATED, "action": "UPDATE", "existingManifest": {}, "version": 3}
    control.answer(all_of({**CREATED, "version": None}, updated))

    result = cli("apply", "-f", file, "--dry-run")

    assert result.output == "would create team ops\nwould update provider-account/openai main (now version 3)\n"
    assert result.exit_code == 0
    assert [body["dryRun"] for _, _, body in control.requests] == [True]


@pytest.fixture
def differing(control):
    new = {"type": "provider-account/openai", "name": "main", "auth_data": {"api_key": "***1a2b3c4d"}}
    old = {"name": "main", "type": "provider-account/openai", "auth_data": {"api_key": "***99999999"}}
    updated = {**CREATED, "action": "UPDATE", "manifest": new, "existingManifest": old, "version": 3}
    control.answer(all_of(UNCHANGED, updated))


DIFFERENCE = [
    "unchanged team ops (version 3)",
    "would update provider-account/openai main (now version 3)",
    "--- main (version 3)",
    "+++ main (new)",
    "@@ -1,4 +1,4 @@",
    " type: provider-account/openai",
    " name: main",
    " auth_data:",
    "-  api_key: '***99999999'",
    "+  api_key: '***1a2b3c4d'",
]


@pytest.mark.parametrize("command", [["apply", "--dry-run", "--show-diff"], ["diff"]])
def test_shows_differences(cli, differing, file, command):
    result = cli(*command, "-f", file)

    assert result.output.splitlines() == DIFFERENCE
    assert result.exit_code == 1


def test_in_colour(cli, differing, file):
    result = cli("diff", "-f", file, "--color")

    assert "\x1b[31m-  api_key: '***99999999'\x1b[0m\n" in result.output


def test_what_is_new(cli, control, tmp_path):
    (tmp_path / "a.yaml").write_text("type: team\nname: ops\n")
    control.answer({**CREATED, "manifest": {"type": "team", "name": "ops"}, "version": None})

    result = cli("diff", "-f", "a.yaml")

    assert result.output.splitlines() == [
        "would create team ops",
        "--- ops (none)",
        "+++ ops (new)",
        "@@ -0,0 +1,2 @@",
        "+type: team",
        "+name: ops",
    ]


def test_no_difference(cli, control, file):
    control.answer(all_of(UNCHANGED, UNCHANGED))

    result = cli("diff", "-f", file)

    assert result.output == "unchanged team ops (version 3)\nunchanged provider-account/openai main (version 3)\n"
    assert result.exit_code == 0


@pytest.mark.parametrize("command", [["apply", "--dry-run", "--show-diff"], ["diff"]])
def test_trouble_is_not_a_difference(cli, control, file, command, tmp_path):
    (tmp_path / "bad.yaml").write_text("name: x\n")
    control.answer({"error": {"message": "no", "param": "steps[0]"}}, 403)

    refused, wrong = cli(*command, "-f", file), cli(*command, "-f", "bad.yaml")

    assert refused.stderr == "Error: gateway.yaml:5: team ops: this token may not do that: no\n"
    assert refused.exit_code == 2
    assert wrong.stderr.startswith("Error: 1 fault, so nothing was sent\n")
    assert wrong.exit_code == 2


@pytest.mark.parametrize("command", ["apply", "diff"])
def test_an_empty_directory(cli, command):
    result = cli(command, "-d", ".")

    assert (result.stdout, result.stderr, result.exit_code) == ("", "nothing to apply\n", 0)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "give either files with -f or a directory with -d"),
        (["-f", "gateway.yaml", "-d", "."], "give either files with -f or a directory with -d"),
        (["-f", "gateway.yaml", "--show-diff"], "--show-diff needs --dry-run; `gateway diff` is short for both"),
        (["-f", "gateway.yaml", "--diffs-only"], "--diffs-only needs --directory"),
        (["-d", ".", "--sync"], "--sync needs --diffs-only"),
        (["-d", ".", "--ref", "main"], "--ref needs --diffs-only"),
        (["-f", "nowhere.yaml"], "Invalid value for '-f' / '--file': File 'nowhere.yaml' does not exist."),
    ],
)
def test_flags_that_do_not_go_together(cli, control, file, arguments, text):
    result = cli("apply", *arguments)

    assert result.stderr.splitlines()[-1] == f"Error: {text}"
    assert result.exit_code == 2
    assert control.requests == []
