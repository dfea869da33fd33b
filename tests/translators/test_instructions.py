"""Instructions in the middle of a conversation."""

from gateway.translators.instructions import gathered


def said(role, content):
    return {"role": role, "content": content}


def text(words):
    return {"type": "text", "text": words}


def test_what_comes_before_the_first_answer_is_one_text_at_the_beginning():
    """ollama/ollama#17774: so comes the list of agents of Claude Code, and Qwen's template refuses it there."""
    chat = [said("system", "one"), said("user", "hi"), said("system", [text("two"), text("three")])]

    assert gathered(chat) == [said("system", "one\n\ntwo\n\nthree"), said("user", "hi")]


def test_what_comes_later_stays_in_its_place():
    """At the beginning, it would make the caches of servers miss all that stands between."""
    chat = [said("user", "hi"), said("assistant", "ho"), said("system", "be kind"), said("assistant", "sure")]

    assert gathered(chat) == [
        said("user", "hi"),
        said("assistant", "ho"),
        said("user", "<system-reminder>\nbe kind\n</system-reminder>"),
        said("assistant", "sure"),
    ]


def test_users_do_not_speak_twice_in_a_row():
    """Some templates refuse that as well."""
    picture = {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}
    chat = [
        said("assistant", "ho"),
        said("user", [picture]),
        said("system", "a"),
        said("system", "b"),
        said("user", "and?"),
        said("user", "well?"),
    ]

    assert gathered(chat) == [
        said("assistant", "ho"),
        said(
            "user",
            [
                picture,
                text("<system-reminder>\na\n</system-reminder>"),
                text("<system-reminder>\nb\n</system-reminder>"),
                text("and?"),
            ],
        ),
        said("user", "well?"),
    ]


def test_behind_the_result_of_a_tool_it_is_a_message_of_its_own():
    result = {"role": "tool", "tool_call_id": "c", "content": "21"}

    assert gathered([said("assistant", None), result, said("system", "now")]) == [
        said("assistant", None),
        result,
        said("user", "<system-reminder>\nnow\n</system-reminder>"),
    ]
