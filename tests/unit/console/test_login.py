import pytest

from datastorage.console.login import LoginForm, page_after_login
from datastorage.errors import InvalidInput

PAGES = [
    "/console/",
    "/console/events?q=a%20b&since=1h",
    "/console/events/1.5",
    "/console/raw/bundle?id=x..y",
]
OTHERS = [
    "",
    "//evil",
    "https://evil.example/console/",
    "/console",
    "/console//../x",
    "/console/../api",
    "/console/%2e%2E/api",
    "/console/a/..",
    "/console/.?x",
    "/console/\\evil",
    "/console/a b",
    "/console/\r\nSet-Cookie: x",
    "/console/é",
    "/console/login",
    "/console/logout?x",
]


@pytest.mark.parametrize("page", PAGES)
def test_page_of_ours_is_where_a_login_leads(page: str) -> None:
    assert page_after_login(page) == page


@pytest.mark.parametrize("wanted", OTHERS)
def test_everything_else_leads_to_the_first_page(wanted: str) -> None:
    assert page_after_login(wanted) == "/console/"


def test_token_is_taken_without_the_blanks_around_it() -> None:
    form = LoginForm()

    login = form.read(form.decode(b"token=+x%0A&next=/console/events&token=second"))

    assert (login.token, login.next_page) == ("x", "/console/events")


def test_token_does_not_show_up_in_a_trace() -> None:
    assert "secret" not in repr(LoginForm().read({"token": "secret"}))


@pytest.mark.parametrize("body", [b"token=%ff", b"token=%00", b"\xff", b"&".join([b"a=b"] * 101)])
def test_body_that_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput) as raised:
        LoginForm().decode(body)

    assert list(raised.value.field_errors) == ["body"]


def test_token_that_fits_no_session_is_refused_by_its_bytes() -> None:
    with pytest.raises(InvalidInput) as raised:
        LoginForm().read({"token": "é" * 1401})

    assert raised.value.field_errors == {"token": "must be at most 2800 bytes"}
