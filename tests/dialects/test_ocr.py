"""The API for reading documents."""

import json

import pytest

from gateway.contract.usage import Usage
from gateway.dialects import OCR
from gateway.errors import BadRequest

PDF = {"type": "document_url", "document_url": "https://x.test/a.pdf"}
FORMAT = {"type": "json_schema", "json_schema": {}}
SAID = {"pages": [{"index": 0, "markdown": "hi"}], "model": "m", "usage_info": {"pages_processed": 2}}


@pytest.mark.parametrize(
    ("fields", "usage"),
    [
        ({"document": PDF}, Usage(pages=10)),
        ({"document": {"type": "image_url", "image_url": "https://x.test/a.png"}}, Usage(pages=1)),
        ({"document": {**PDF, "document_url": "data:application/pdf;base64," + 500_000 * "A"}}, Usage(pages=5)),
        ({"document": PDF, "pages": [0, 1, 7]}, Usage(pages=3)),
        ({"document": PDF, "pages": []}, Usage(pages=10)),
        ({"document": PDF, "pages": None}, Usage(pages=10)),
        ({"document": PDF, "pages": [*range(2000)]}, Usage(pages=1000)),
        ({"document": PDF, "pages": [0], "bbox_annotation_format": FORMAT}, Usage(annotated_pages=1)),
        ({"document": PDF, "pages": [0], "document_annotation_format": FORMAT}, Usage(annotated_pages=1)),
        ({"document": PDF, "pages": [0], "document_annotation_format": None}, Usage(pages=1)),
        ({"document": 7}, Usage(pages=10)),
        ({}, Usage(pages=10)),
    ],
)
def test_pages_are_reserved(asked, fields, usage):
    ask = asked(OCR, model="a/m", **fields)

    assert (ask.model, ask.expected, ask.has_output) == ("a/m", (usage,), False)


@pytest.mark.parametrize("size", [1, 1000, 10**6])
@pytest.mark.parametrize("markdown", ["hi", '"pages_processed": 9,', 400_000 * "a"])
@pytest.mark.parametrize(
    ("fields", "usage"),
    [({}, Usage(pages=2)), ({"bbox_annotation_format": FORMAT}, Usage(annotated_pages=2))],
)
def test_pages_are_counted_by_the_provider(used, size, markdown, fields, usage):
    """No document can say how many it had, wherever its answer was cut."""
    answer = {**SAID, "pages": [{"index": 0, "markdown": markdown}]}
    size = max(size, len(markdown) // 1000)

    assert used(OCR, json.dumps(answer).encode(), size=size, document=PDF, **fields) == usage


def test_who_counts_none_is_estimated(used):
    assert used(OCR, json.dumps({**SAID, "usage_info": None}).encode(), document=PDF) is None


@pytest.mark.parametrize("fields", [{}, {"model": None}, {"model": 5}])
def test_what_names_no_model(asked, fields):
    """Mistral's SDK may leave it null."""
    with pytest.raises(BadRequest, match='"model" is'):
        asked(OCR, document=PDF, **fields)
