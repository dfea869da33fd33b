"""`gateway apply --diffs-only` and `--sync`, with a real repository."""

import os
import subprocess

import pytest

CREATED = {"action": "CREATE", "manifest": {}, "existingManifest": None, "version": 1, "warnings": []}
DELETED = {"action": "DELETE", "existingManifest": {"type": "team", "name": "gone"}, "version": 2}


def team(name, members="[]"):
    return f"type: team\nname: {name}\nmembers: {members}\n"


def kept(name, managed_by="api", type_="team"):
    return {"data": [{"type": type_, "name": name, "managedBy": managed_by}]}


class Repository:
    """Files are below `manifests/`, so that paths of git are not those of the directory."""

    def __init__(self, root):
        self.root = root
        self.folder = root / "manifests"
        self.folder.mkdir()
        (root / "home").mkdir()
        self.git("-c", "init.defaultBranch=main", "init", "-q")

    def git(self, *arguments):
        who = {f"GIT_{role}_{part}": "t@example.com" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.root / "home"), "GIT_CONFIG_NOSYSTEM": "1", **who}
        subprocess.run(["git", *arguments], cwd=self.root, env=environ, check=True, capture_output=True, timeout=30)

    def write(self, **files):
        for name, text in files.items():
            (self.folder / f"{name}.yaml").write_text(text)

    def commit(self):
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "state")


@pytest.fixture
def repo(tmp_path):
    return Repository(tmp_path)


@pytest.fixture
def apply(cli):
    def apply(*arguments):
        return cli("apply", "-d", "manifests", "--diffs-only", *arguments)

    return apply


def names(control):
    return [(path, body["manifest"]["name"]) for _, path, body in control.requests if body]


def test_only_files_that_changed(repo, apply, control):
    repo.write(same=team("same"), changed=team("changed"))
    (repo.root / "outside.yaml").write_text(team("outside"))
    (repo.root / ".gitignore").write_text("ignored.yaml\n")
    repo.commit()
    repo.write(changed=team("changed", "[ana@example.com]"), staged=team("staged"), ignored=team("ignored"))
    repo.git("add", "manifests/staged.yaml")
    repo.write(**{"new é": team("new")})
    (repo.root / "outside.yaml").write_text(team("outside2"))
    control.answer({"data": [CREATED, CREATED, CREATED]})

    result = apply()

    assert result.output.splitlines() == [
        "created team changed (version 1)",
        "created team new (version 1)",
        "created team staged (version 1)",
    ]


def test_nothing_changed(repo, apply, control):
    repo.write(same=team("same"))
    repo.commit()

    result = apply("--sync")

    assert (result.stdout, result.stderr, result.exit_code) == ("", "nothing to apply\n", 0)
    assert control.requests == []


def test_against_another_commit(repo, apply, control):
    repo.write(a=team("a"))
    repo.commit()
    repo.write(b=team("b"))
    repo.commit()
    control.answer(CREATED)

    apply("--ref", "HEAD~1")

    assert names(control) == [("/apply", "b")]


def test_sync_deletes_what_vanished(repo, apply, control):
    """From a file that is gone and from one that is there still, what was referred to last."""
    repo.write(gone=team("gone"), both=team("stays") + "---\n" + team("dropped"), same=team("same"))
    (repo.folder / "bound.json").write_text('{"type": "role-binding", "name": "bound"}')
    repo.commit()
    (repo.folder / "gone.yaml").unlink()
    (repo.folder / "bound.json").unlink()
    repo.write(both=team("stays"))
    control.answer(kept("bound", type_="role-binding"))
    control.answer(kept("gone"))
    control.answer(kept("dropped"))
    control.answer({"data": [CREATED, DELETED, DELETED, DELETED]})

    result = apply("--sync")

    assert result.output.splitlines() == [
        "created team stays (version 1)",
        "deleted role-binding bound",
        "deleted team gone",
        "deleted team dropped",
    ]
    assert control.requests[-1] == (
        "PUT",
        "/apply/all",
        {
            "steps": [
                {"manifest": {"type": "team", "name": "stays", "members": []}},
                {"manifest": {"type": "role-binding", "name": "bound"}, "delete": True},
                {"manifest": {"type": "team", "name": "gone"}, "delete": True},
                {"manifest": {"type": "team", "name": "dropped"}, "delete": True},
            ],
            "dryRun": False,
        },
    )
    assert control.requests[0][1] == "/manifests?type=role-binding&name=bound"


def test_without_sync_nothing_is_deleted(repo, apply, control):
    repo.write(gone=team("gone"))
    repo.commit()
    (repo.folder / "gone.yaml").unlink()

    assert apply().stderr == "nothing to apply\n"


def test_what_moved_has_not_vanished(repo, apply, control):
    repo.write(old=team("moved"))
    repo.commit()
    (repo.folder / "old.yaml").rename(repo.folder / "new.yaml")
    control.answer(CREATED)

    apply("--sync")

    assert names(control) == [("/apply", "moved")]


def test_deletes_only_what_the_api_manages(repo, apply, control):
    repo.write(a=team("in-file"), b=team("not-there"))
    repo.commit()
    (repo.folder / "a.yaml").unlink()
    (repo.folder / "b.yaml").unlink()
    control.answer({"data": []})
    control.answer(kept("in-file", "file:gateway.yaml:7"))

    result = apply("--sync")

    assert result.stderr == "kept team in-file: managed by file:gateway.yaml:7\nnothing to apply\n"
    assert [method for method, _, _ in control.requests] == ["GET", "GET"]


def test_shows_what_would_be_deleted(repo, apply, control):
    repo.write(gone=team("gone"))
    repo.commit()
    (repo.folder / "gone.yaml").unlink()
    control.answer(kept("gone"))
    control.answer(DELETED)

    result = apply("--sync", "--dry-run", "--show-diff")

    assert result.output.splitlines() == [
        "would delete team gone",
        "--- gone (version 2)",
        "+++ gone (none)",
        "@@ -1,2 +0,0 @@",
        "-type: team",
        "-name: gone",
    ]
    assert result.exit_code == 1
    assert control.requests[1][2]["dryRun"] is True


def test_an_old_version_that_was_never_right(repo, apply, control):
    repo.write(a=": [")
    repo.commit()
    repo.write(a=team("a"))
    control.answer(CREATED)

    result = apply("--sync")

    assert result.stdout == "created team a (version 1)\n"
    assert result.stderr.endswith("; nothing of this old version is deleted (warning)\n")
    assert result.exit_code == 0


def test_a_failure_while_deleting(repo, apply, control):
    repo.write(gone=team("gone"))
    repo.commit()
    (repo.folder / "gone.yaml").unlink()
    repo.write(new=team("new"))
    control.answer(kept("gone"))
    control.answer({"error": {"message": "others need it", "param": "steps[1]"}}, 400)

    result = apply("--sync")

    where, rest = result.stderr.splitlines()
    assert where.startswith("Error: ")
    assert where.endswith(":gone.yaml:1: team gone: others need it")
    assert rest == "nothing was changed; --keep-going applies what can be"
    assert result.exit_code == 1


@pytest.mark.parametrize("ref", ["nowhere", "--output=x", "HEAD:manifests"])
def test_what_is_no_commit(repo, apply, ref):
    repo.write(a=team("a"))
    repo.commit()

    result = apply(f"--ref={ref}")

    assert result.stderr.startswith("Error: ")
    assert ref in result.stderr
    assert result.exit_code == 1
    assert not (repo.folder / "x").exists()


def test_no_repository(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    result = cli("apply", "-d", ".", "--diffs-only", "--dry-run", "--show-diff")

    assert "not a git repository" in result.stderr
    assert result.exit_code == 2


def test_no_git(cli, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")

    result = cli("apply", "-d", ".", "--diffs-only")

    assert result.stderr == "Error: git cannot be run: No such file or directory\n"
    assert result.exit_code == 1
