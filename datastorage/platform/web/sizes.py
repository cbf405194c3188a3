"""How many bytes JSON takes once it is stored: jsonb keeps every number in plain decimal form.

``1e308`` is five bytes in a request and 309 in every answer, so a limit on the request alone would let a
megabyte be read back as fifty. The plain length follows from digits and exponent; it is never written out.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from marshmallow import ValidationError

from datastorage.errors import Fault
from datastorage.platform.web.json import MAX_NUMBER_CHARACTERS, encode

_LONGEST_PLAIN_BYTES: Final = 2 * MAX_NUMBER_CHARACTERS + 3
"""Of one number: digits on both sides of the point, the point and the sign."""

_MOST_GROWTH: Final = _LONGEST_PLAIN_BYTES // len("1e9")
"""Of one byte, more than any number has: what is so much smaller than its limit is not looked at."""

# Compact JSON as ``json`` writes it: one digit in front of the point where there is an exponent. Strings are
# matched as a whole, so that digits inside them do not count.
_STRING_OR_POWER = re.compile(rb'"(?:[^"\\]++|\\.)*+"|(-?)[1-9](?:\.(\d+))?[eE]([+-]?\d+)')


def exceeds(documents: Sequence[bytes], most: int) -> bool:
    """Tell whether documents have more than ``most`` bytes together, with numbers in plain form."""
    return sum(map(len, documents)) * _MOST_GROWTH > most and sum(plain_sizes(documents, most)) > most


def plain_sizes(documents: Sequence[bytes], most: int) -> list[int]:
    """Return the size of each document, with numbers in plain form where that decides.

    Where all together cannot exceed ``most``, the sizes are those of the texts; of a document that alone
    exceeds it, the size is some number above it.

    Args:
        documents: compact JSON as ``json.encode`` or ``json.encode_exactly`` writes it.
        most: bytes that all may have together.
    """
    sizes = [len(each) for each in documents]
    # Nearly every body ends here: too few of the letter for any number to matter.
    letters = sum(each.count(b"e") + each.count(b"E") for each in documents)
    if sum(sizes) + letters * _LONGEST_PLAIN_BYTES <= most:
        return sizes
    return [_plain_size(each, most) for each in documents]


def _plain_size(document: bytes, most: int) -> int:
    return len(document) + _growth(document, most - len(document))


def _growth(document: bytes, most: int) -> int:
    """Return by how much the numbers of a document grow; some number above ``most`` if they grow by more."""
    growth = 0
    for found in _STRING_OR_POWER.finditer(document):
        if growth > most:
            break
        if found[3] is not None:
            growth += _plain_length(found) - len(found[0])
    return growth


def _plain_length(power: re.Match[bytes]) -> int:
    sign, fraction, exponent = power[1], power[2] or b"", int(power[3])
    before_point, behind_point = max(1 + exponent, 1), max(len(fraction) - exponent, 0)
    return len(sign) + before_point + (1 + behind_point if behind_point else 0)


def is_far_too_large(sent: bytes, most: int) -> bool:
    """Tell whether JSON as it was sent is so large that it need not be decoded to be refused.

    Escapes and white space are counted out. What else may be shorter once it is decoded, fractions of many
    digits and names that come twice, is covered by a factor of two: such JSON is decoded, and judged then.
    """
    if len(sent) * _MOST_GROWTH <= 2 * most:
        return False
    blanks = sum(sent.count(each) for each in (b" ", b"\n", b"\r", b"\t"))
    if len(sent) - blanks - 5 * sent.count(b"\\u") - sent.count(b"\\") > 2 * most:
        return True
    letters = sent.count(b"e") + sent.count(b"E")
    return letters * _LONGEST_PLAIN_BYTES > 2 * most and _growth(sent, 2 * most) > 2 * most


def check_documents(data: Mapping[str, Any], names: Collection[str], most: int) -> None:
    """Bound the members of a record that are JSON columns, together.

    Args:
        data: judged members: JSON text, or a value that is stored as JSON.
        names: of the JSON columns.
        most: bytes that they may have.

    Raises:
        ValidationError: on the largest of them.
    """
    given = {name: data[name] for name in names if data.get(name)}
    texts = [each.encode("utf-8") if isinstance(each, str) else encode(each) for each in given.values()]
    if exceeds(texts, most):
        sizes = plain_sizes(texts, most)
        largest = max(zip(sizes, given, strict=True), key=lambda each: each[0])[1]
        fault = Fault(f"exceeds the maximum size of {most} bytes, all JSON members together", "too_large")
        raise ValidationError(fault, field_name=largest)
