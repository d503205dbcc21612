# SPDX-License-Identifier: EUPL-1.2
"""The local page: who may see what, and its token."""

import asyncio
import base64
import urllib.error
import urllib.request

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import ConfigError
from gateway.page import BadRequest, Page
from gateway.page_token import form_key, load_token

TOKEN = "0123456789abcdef0123456789abcdef"


def basic(text):
    return "Basic " + base64.b64encode(text.encode()).decode()


class TestToken:
    def test_its_file_is_made_once_for_its_owner_only(self, tmp_path):
        path = tmp_path / "page.token"

        token = load_token(path, create=True)

        assert len(token) == 32
        assert path.stat().st_mode & 0o777 == 0o600
        assert load_token(path, create=True) == token

    @pytest.mark.parametrize("text", ["", "short", "0123456789abcde\x000", "ä" * 16, "x" * 300])
    def test_a_file_that_holds_none_is_one_line_that_does_not_repeat_it(self, tmp_path, text):
        path = tmp_path / "page.token"
        path.write_text(text, "utf-8")
        path.chmod(0o600)

        with pytest.raises(ConfigError) as error:
            load_token(path)

        assert str(error.value).startswith(f"{path}: must hold the token")

    def test_a_file_that_others_can_read_is_refused(self, tmp_path):
        path = tmp_path / "page.token"
        path.write_text(TOKEN)
        path.chmod(0o644)

        with pytest.raises(ConfigError, match="chmod 600"):
            load_token(path)

    def test_a_missing_file_says_so(self, tmp_path):
        with pytest.raises(ConfigError, match="No such file"):
            load_token(tmp_path / "nowhere")


async def _open(_request):
    return "text/plain", "open"


async def _secret(request):
    if "bad" in request.query:
        raise BadRequest("bad is bad")
    return "text/plain", f"{request.language} {sorted(request.query.items())}"


async def _post(request):
    return "text/plain", f"{request.program} {sorted(request.form)}"


def fetch(path, *, host="127.0.0.1", body=None, **headers):
    """(status, text) of one GET, or of a POST of ``body``."""

    async def run():
        page = Page({"/open": _open}, {"/secret": _secret}, TOKEN, {"/do": _post})
        port = await page.listen(host, 0)
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=body, headers=headers)
        try:
            return await asyncio.to_thread(_get, request)
        finally:
            await page.close()

    return asyncio.run(run())


def _get(request):
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


class TestWhoMaySee:
    def test_on_the_loopback_some_things_are_open(self):
        assert fetch("/open") == (200, "open")

    def test_single_nodes_are_not(self):
        status, text = fetch("/secret?dev_eui=1")

        assert (status, text) == (401, "the password is in the page's token_file\n")
        assert fetch("/secret?dev_eui=1", Authorization=f"Bearer {TOKEN}") == (200, "en [('dev_eui', '1')]")

    @pytest.mark.parametrize("path", ["/open", "/secret", "/nowhere"])
    def test_elsewhere_nothing_is(self, path):
        assert fetch(path, host="0.0.0.0")[0] == 401

    def test_elsewhere_the_token_opens_it(self):
        assert fetch("/open", host="0.0.0.0", Authorization=basic(f"x:{TOKEN}")) == (200, "open")

    def test_a_path_that_is_not_there(self):
        assert fetch("/nowhere") == (404, "there are: /open\n")
        assert fetch("/nowhere", Authorization=f"Bearer {TOKEN}") == (404, "there are: /open /secret\n")


class TestRequests:
    @pytest.mark.parametrize(
        ("path", "header", "language"),
        [("/secret", "de-DE,de;q=0.9", "de"), ("/secret", "fr", "en"), ("/secret?lang=de", "en", "de")],
    )
    def test_the_language_is_the_reader_s(self, path, header, language):
        headers = {"Authorization": f"Bearer {TOKEN}", "Accept-Language": header}

        assert fetch(path, **headers)[1].startswith(language)

    def test_a_bad_question_is_answered_with_400(self):
        assert fetch("/secret?bad=1", Authorization=f"Bearer {TOKEN}") == (400, "bad is bad\n")

    def test_too_many_parameters_are_too(self):
        assert fetch("/open?" + "&".join(f"a{n}=1" for n in range(30)))[0] == 400


class TestManyAtOnce:
    def test_beyond_64_a_connection_is_closed_at_once_and_later_ones_are_served(self):
        async def run():
            page = Page({"/open": _open}, {}, TOKEN)
            port = await page.listen("127.0.0.1", 0)
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(64)]
            for _, writer in held:  # each is being served: it has been sent something
                writer.write(b"GET /open")
            reader, one_more = await asyncio.open_connection("127.0.0.1", port)
            async with asyncio.timeout(60):
                refused = await reader.read()
            one_more.close()
            for _, writer in held:
                writer.write(b" HTTP/1.1\r\n\r\n")
            served = [(await reader.read()).split(b"\r\n")[0] for reader, _ in held]
            reader, again = await asyncio.open_connection("127.0.0.1", port)
            again.write(b"GET /open HTTP/1.1\r\n\r\n")
            after = (await reader.read()).split(b"\r\n")[0]
            for writer in (again, *(writer for _, writer in held)):
                writer.close()
            await page.close()
            return refused, set(served), after

        refused, served, after = asyncio.run(run())

        assert (refused, served, after) == (b"", {b"HTTP/1.1 200 OK"}, b"HTTP/1.1 200 OK")


class TestForms:
    """A browser sends the password along with any site's form; only ours has the key."""

    KEY = form_key(TOKEN)

    def test_a_program_needs_its_token(self):
        assert fetch("/do", body=b"a=1", Authorization=f"Bearer {TOKEN}") == (200, "True ['a']")
        assert fetch("/do", body=b"a=1")[0] == 401

    def test_a_browser_needs_the_key_of_our_own_form(self):
        password = basic(f"x:{TOKEN}")

        assert fetch("/do", body=f"a=1&key={self.KEY}".encode(), Authorization=password)[0] == 200
        for body in (b"a=1", b"a=1&key=", b"key=" + self.KEY[:-1].encode() + b"x", b"key=%C3%A4"):
            assert fetch("/do", body=body, Authorization=password) == (403, "this form is not from this page\n")

    @pytest.mark.parametrize("body", [b"x" * 3000, b"no form", b"\xff\xfe", b"&".join(b"a%d=1" % n for n in range(40))])
    def test_what_is_no_form_is_answered_with_400(self, body):
        assert fetch("/do", body=body, Authorization=f"Bearer {TOKEN}")[0] == 400

    @pytest.mark.parametrize("path", ["/open", "/secret", "/nowhere"])
    def test_nothing_else_takes_one(self, path):
        assert fetch(path, body=b"a=1", Authorization=f"Bearer {TOKEN}")[0] == 405


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(lambda text: f"GET {text} HTTP/1.1".encode())))
def test_whatever_is_sent_is_answered_or_given_up(head):
    page = Page({"/open": _open}, {"/secret": _secret}, TOKEN, {"/do": _post})

    async def run():
        reader = asyncio.StreamReader()
        reader.feed_eof()
        return await page._response(head + b"\r\n\r\n", reader)

    assert asyncio.run(run()).split(b" ")[1] in (b"200", b"400", b"401", b"404", b"405")
