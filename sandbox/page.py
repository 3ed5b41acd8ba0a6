"""The page at `/`: publishers, their offers and operations, and the last requests."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape, unescape
from itertools import islice

from sandbox.behaviours import behaviour_of
from sandbox.marketplace import LogEntry, SandboxMarketplace
from sandbox.page_script import REFRESH_SECONDS, SCRIPT
from sandbox.page_style import STYLE
from sandbox.state import Offer, Operation, Publisher
from sandbox.steps import StepView, progress_of

_MOST_PUBLISHERS = 25
_MOST_REQUESTS = 25
_BLOCK_TAG = re.compile(r"</?(?:p|br|div|li|ul|ol|h\d|tr|td)\b[^>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>")
_QUERY = re.compile(r"\?[^\s\"'<>]*=[^\s\"'<>]*")

_WORDS = {
    "notStarted": "not started",
    "neverPublished": "never published",
    "inProgress": "in progress",
    "waitingForPublisherReview": "waiting for sign-off",
    "canceled": "cancelled",
}
_COLOURS = {
    "complete": "good",
    "completed": "good",
    "succeeded": "good",
    "inProgress": "busy",
    "running": "busy",
    "waitingForPublisherReview": "wait",
    "blocked": "bad",
    "rejected": "bad",
    "failed": "bad",
}
_APIS = {"cloud_partner": "Cloud Partner Portal", "product_ingestion": "Product Ingestion"}
_EMPTY = {("read_offer", 404), ("read_tree", 400), ("read_tree", 404), ("read_resource", 404)}
"""Answers that only say that a slot or a resource is empty. The page does not show them as failures."""

_KINDS = {"publish": "Publish", "goLive": "Go live", "cancel": "Cancel"}


def render_page(marketplace: SandboxMarketplace, now: datetime) -> str:
    """Return the page as HTML."""
    publishers = list(reversed(marketplace.state.publishers.values()))
    body = "".join(_publisher(publisher, now) for publisher in publishers[:_MOST_PUBLISHERS])
    if len(publishers) > _MOST_PUBLISHERS:
        body += f'<p class="soft">{len(publishers) - _MOST_PUBLISHERS} earlier publishers are not shown.</p>'
    if not publishers:
        body = (
            '<div class="card soft">There is no offer yet. The first write of an offer creates its publisher.</div>'
        )
    speed = getattr(marketplace.clock, "speed", None)
    pace = f"{speed:g} times real time" if speed is not None else "clock moved on demand"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Marketplace sandbox</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<noscript><meta http-equiv="refresh" content="{REFRESH_SECONDS}"></noscript>'
        f"<style>{STYLE}</style><script>{SCRIPT}</script></head><body>"
        f'<header><h1>Marketplace sandbox</h1><span class="num">{_time(now)} UTC</span>'
        f'<span class="soft">{escape(pace)}</span></header>'
        f"{body}{_requests(list(islice(reversed(marketplace.requests), _MOST_REQUESTS)))}</body></html>"
    )


def _time(moment: datetime) -> str:
    return f"{moment:%a %d %b %Y %H:%M:%S}"


def _badge(word: str) -> str:
    return f'<span class="badge {_COLOURS.get(word, "")}">{escape(_WORDS.get(word, word))}</span>'


def _chips(title: str, texts: Iterable[str]) -> str:
    chips = " ".join(f'<span class="chip">{escape(_public(text))}</span>' for text in texts)
    return f'<div class="row small"><span class="soft">{title}</span> {chips}</div>' if chips else ""


def _public(text: str) -> str:
    """Return a text without the queries of its addresses, which may hold signatures."""
    return _QUERY.sub("?…", text)


def _publisher(publisher: Publisher, now: datetime) -> str:
    switches = (f"{name} = {value}" for name, value in publisher.switches.changed().items())
    faults = (
        f"{fault.action.kind.replace('_', ' ')} at {fault.call.replace('_', ' ')}"
        f"{' until removed' if fault.times < 0 else f', {fault.times} more'}"
        f"{f' after {fault.after}' if fault.after else ''}"
        for fault in publisher.faults
    )
    steps = (f"{step}: {fault.outcome or 'duration changed'}" for step, fault in publisher.step_faults.items())
    offers = "".join(_offer(publisher.id, offer, now) for offer in reversed(publisher.offers.values()))
    offers = offers or '<p class="soft">No offers.</p>'
    return (
        f"<h2>{escape(publisher.id)}</h2>"
        f"{_chips('Switches', switches)}{_chips('Faults ahead', faults)}{_chips('Step faults', steps)}"
        f"{offers}"
    )


def _offer(publisher_id: str, offer: Offer, now: datetime) -> str:
    last, *earlier = [_operation(operation, now) for operation in reversed(offer.operations)] or [""]
    history = f"<h4>Last operation</h4>{last}" if last else ""
    if earlier:
        # The script finds it by its ID, to leave it open when it refreshes the page.
        name = escape(f"earlier/{publisher_id}/{offer.id}")
        count = f'<summary class="soft">{len(earlier)} earlier</summary>'
        history += f'<details id="{name}">{count}{"".join(earlier)}</details>'
    return (
        f'<div class="card"><div class="row"><h3>{escape(offer.id)}</h3>{_badge(offer.status)}'
        f'<span class="soft small">{_APIS[offer.api]} · {escape(offer.offer_type)} · '
        f"offer version {offer.version}</span></div>"
        f"<h4>Image versions</h4>{_slots(offer)}{history}</div>"
    )


def _slots(offer: Offer) -> str:
    behaviour = behaviour_of(offer)
    versions = {name: behaviour.images(snapshot.text) if snapshot else {} for name, snapshot in offer.slots.items()}
    plans = list(dict.fromkeys(plan for found in versions.values() for plan in found))
    rows = "".join(
        f"<tr><td><code>{escape(plan)}</code></td>"
        + "".join(f'<td class="num">{_version_list(found.get(plan))}</td>' for found in versions.values())
        + "</tr>"
        for plan in plans
    )
    empty = ' <span class="soft">(empty)</span>'
    heads = "".join(f"<th>{name}{'' if snapshot else empty}</th>" for name, snapshot in offer.slots.items())
    return f'<div class="scroll"><table class="slots"><tr><th>Plan</th>{heads}</tr>{rows}</table></div>'


def _version_list(versions: Sequence[str] | None) -> str:
    if not versions:
        return '<span class="soft">-</span>'
    newest, *rest = (escape(version) for version in versions)
    return f"<b>{newest}</b>" + (f' <span class="soft">{", ".join(rest)}</span>' if rest else "")


def _operation(operation: Operation, now: datetime) -> str:
    word = operation.outcome or "running"
    ended = f" · ended {_time(operation.ended)}" if operation.ended else ""
    steps = "".join(_step(view) for view in progress_of(operation, now).steps)
    return (
        f'<div class="row"><b>{_KINDS[operation.kind]}</b> {_badge(word)}'
        f'<span class="soft small num">started {_time(operation.started)}{ended}</span>'
        f'<code class="soft">{escape(operation.id)}</code></div>{steps}'
    )


def _step(view: StepView) -> str:
    colour = _COLOURS.get(view.status, "")
    word = _WORDS.get(view.status, view.status) + (f" · {view.percent} %" if view.status == "inProgress" else "")
    width = 100 if colour in ("wait", "bad") else view.percent
    messages = view.plan.fault.messages if view.plan.fault and colour == "bad" else []
    shown = "".join(f'<div class="message">{escape(_public(_plain(text)))}</div>' for text in messages)
    return (
        f'<div class="step {colour}"><span>{escape(view.plan.name)}</span>'
        f'<span class="bar"><i style="width:{width}%"></i></span>'
        f'<span class="word num">{escape(word)}</span></div>{shown}'
    )


def _plain(text: str) -> str:
    """Return the text of a message, which may be HTML."""
    return " ".join(unescape(_TAG.sub("", _BLOCK_TAG.sub(" ", text))).split())


def _requests(entries: Sequence[LogEntry]) -> str:
    if not entries:
        return ""
    rows = "".join(_request(entry) for entry in entries)
    return (
        '<h2>Last requests</h2><div class="card scroll"><table><tr><th>Sandbox time</th><th>Call</th>'
        f"<th>Offer</th><th>Answer</th><th>Effect</th></tr>{rows}</table></div>"
    )


def _request(entry: LogEntry) -> str:
    when = _time(datetime.fromisoformat(str(entry["sandbox_time"])))
    status = entry["status"]
    answer = str(status) if status else "dropped"
    colour = "good" if isinstance(status, int) and status < 400 else "bad"  # noqa: PLR2004
    if (entry["call"], status) in _EMPTY and not entry["faults"]:
        answer, colour = f"{status} empty", ""
    offer = "/".join(str(part) for part in (entry["publisher"], entry["offer"]) if part)
    return (
        f'<tr><td class="num soft">{when}</td><td>{escape(str(entry["call"]).replace("_", " "))}</td>'
        f'<td>{escape(offer)}</td><td><span class="badge {colour}">{answer}</span></td>'
        f"<td>{'yes' if entry['effect'] else ''}</td></tr>"
    )
