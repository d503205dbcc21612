# SPDX-License-Identifier: EUPL-1.2
"""Downlinks from the local page: a form for technicians, and the same for ``stadtfunk gateway downlink``."""

import html
import json
import secrets
from collections.abc import Callable

from decoders.downlink import MAX_F_PORT, MAX_PAYLOAD_BYTES, MalformedCommand, decode_command
from gateway.applications import Applications
from gateway.errors import StoreError
from gateway.page import Answer, BadRequest, Content, Request, as_json
from gateway.page_html import document, words_of

_MOST_HOURS = 30 * 24
_WORDS = {
    "title": ("Downlink senden", "Send a downlink"),
    "payload": ("Nutzlast (hex)", "Payload (hex)"),
    "confirmed": ("bestätigt", "confirmed"),
    "hours": ("Gültig für Stunden", "Valid for hours"),
    "send": ("Senden", "Send"),
    "queued": ("in der Warteschlange", "queued"),
    "refused": ("abgelehnt", "refused"),
    "sent": ("bereits gesendet", "sent already"),
    "acknowledged": ("bereits bestätigt", "acknowledged already"),
    "failed": ("fehlgeschlagen", "failed"),
    "expired": ("abgelaufen", "expired"),
    "back": ("Zum Knoten", "To the node"),
}


class DownlinkPage:
    """``now``: Unix s, or None while nobody knows; ``key``: of the page's own forms."""

    def __init__(self, applications: Applications, now: Callable[[], float | None], key: str) -> None:
        self._applications = applications
        self._now = now
        self._key = key

    def answers(self) -> dict[str, Answer]:
        return {"/downlink": self.form}

    def posts(self) -> dict[str, Answer]:
        return {"/downlink": self.send}

    async def form(self, request: Request) -> Content:
        """What to send to whom."""
        dev_eui = html.escape(request.query.get("dev_eui", ""))
        words = words_of(_WORDS, request.language)
        return _titled(
            request.language,
            words["title"],
            '<form method="post" action="/downlink">'
            f'<input type="hidden" name="key" value="{self._key}">'
            f'<p><label>DevEUI <input name="dev_eui" value="{dev_eui}" pattern="[0-9a-fA-F]{{16}}" required></label>'
            f'</p><p><label>FPort <input name="f_port" type="number" min="1" max="{MAX_F_PORT}" required></label></p>'
            f'<p><label>{words["payload"]} <input name="payload" pattern="([0-9a-fA-F]{{2}}){{0,{MAX_PAYLOAD_BYTES}}}">'
            f'</label></p><p><label><input name="confirmed" type="checkbox" value="true"> {words["confirmed"]}</label>'
            f'</p><p><label>{words["hours"]} <input name="hours" type="number" min="1" max="{_MOST_HOURS}" value="24">'
            f"</label></p><p><button>{words['send']}</button></p></form>",
        )

    async def send(self, request: Request) -> Content:
        """Queue it; the answer says whether it is."""
        form, now = request.form, self._now()
        if now is None:
            raise BadRequest("nobody knows the time yet, so no downlink can have an end; try again in a minute")
        try:
            hours, f_port = float(form.get("hours") or 24), int(form.get("f_port", ""))
        except ValueError as error:
            raise BadRequest("f_port and hours must be numbers") from error
        if not 0 < hours <= _MOST_HOURS:
            raise BadRequest(f"hours must be more than 0, and at most {_MOST_HOURS}")
        fields = {
            "id": form.get("id") or f"page-{secrets.token_hex(8)}", "dev_eui": form.get("dev_eui", "").lower(),
            "f_port": f_port, "payload": form.get("payload", "").lower(), "expires_at": now + hours * 3600,
            "confirmed": form.get("confirmed", "") == "true",
        }  # fmt: skip
        try:
            event = await self._applications.put(decode_command(json.dumps(fields).encode()))
        except MalformedCommand as malformed:
            raise BadRequest(malformed.problem) from malformed
        except StoreError as error:
            raise BadRequest(f"it could not be queued: {error}") from error
        if request.program:
            return "application/json", as_json(event._asdict())
        words = words_of(_WORDS, request.language)
        back = f'<p><a href="/node?dev_eui={event.dev_eui}">{words["back"]}</a></p>'
        said = f"{words[event.state]} {html.escape(event.reason)} ({html.escape(event.id)})"
        return _titled(request.language, words["title"], f"<p>{said}</p>{back}")


def _titled(language: str, title: str, body: str) -> Content:
    return document(language, title, (f"<h1>{title}</h1>", body))
