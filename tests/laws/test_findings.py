import string

import pytest

from reconscale.laws import CODES, Finding, finding
from reconscale.laws.findings import unique_findings


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_has_a_severity_and_a_sentence(code):
    severity, template = CODES[code]
    assert severity in ("note", "caution", "warning")
    names = {name for _, name, _, _ in string.Formatter().parse(template) if name}
    item = finding(code, **dict.fromkeys(names, 3))
    assert (item.code, item.severity) == (code, severity)
    assert "{" not in item.text
    assert str(item).startswith(f"{severity} [{code}]: ")


def test_a_missing_number_or_unknown_code_is_an_error():
    with pytest.raises(KeyError):
        finding("few-sizes")
    with pytest.raises(KeyError):
        finding("nonsense")


def test_each_code_is_kept_once_in_order():
    first, second, third = Finding("a", "1", "note"), Finding("b", "2", "note"), Finding("a", "3", "note")
    assert unique_findings((first, second), (third,)) == (first, second)
