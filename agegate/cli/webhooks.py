"""`agegate webhooks list | replay | rotate | test`: what clients are told, and what arrives."""

from __future__ import annotations

import argparse
import json
from functools import partial
from typing import Any, Final

from agegate.cli.surroundings import Surroundings
from agegate.domain.webhooks import WebhookState
from agegate.services.webhooks import Listed

OK: Final = 0
NOT_RIGHT: Final = 1
MOST: Final = 200


def register(commands: Any, here: Surroundings) -> None:
    parser = commands.add_parser(
        "webhooks",
        help="list, replay, rotate and test webhooks",
        description="A client with a webhook_url is told what happens to its subjects. What a "
        "receiver does not take for three days is parked, and can be sent again from here.",
        epilog="example: agegate webhooks list --parked",
    )
    below = parser.add_subparsers(dest="webhooks_command", required=True, metavar="COMMAND")

    listing = below.add_parser(
        "list",
        help="the newest deliveries and what became of them",
        epilog="example: agegate webhooks list --parked --json",
    )
    listing.add_argument("--parked", action="store_true", help="only what was given up")
    listing.add_argument("--client", metavar="CLIENT", help="only of this client")
    listing.add_argument(
        "--limit", type=_count, default=MOST, metavar="N", help=f"at most so many ({MOST})"
    )

    replay = below.add_parser(
        "replay",
        help="send again what was parked, or one that was delivered",
        description="With the same webhook-id as before, so that a receiver knows a copy as one.",
        epilog="example: agegate webhooks replay --client storybuddy-web",
    )
    which = replay.add_mutually_exclusive_group(required=True)
    which.add_argument("id", nargs="?", metavar="ID", help="a delivery, as `list` shows it")
    which.add_argument("--client", metavar="CLIENT", help="all that is parked for this client")

    rotate = below.add_parser(
        "rotate",
        help="a new secret; the old one signs beside it for 24 hours",
        description="Prints the new secret. It can't be shown again. A secret that was replaced "
        "before, less than 24 hours ago, stops signing at once.",
        epilog="example: agegate webhooks rotate storybuddy-web",
    )
    rotate.add_argument("client", metavar="CLIENT")

    test = below.add_parser(
        "test",
        help="send webhook.test twice, well signed and badly signed",
        description="A receiver in order takes the first (2xx) and refuses the second. "
        "Status 1 when it does not.",
        epilog="example: agegate webhooks test storybuddy-web",
    )
    test.add_argument("client", metavar="CLIENT")

    for command, run in ((listing, _list), (replay, _replay), (rotate, _rotate), (test, _test)):
        command.add_argument("--json", action="store_true", help="print data instead of text")
        command.set_defaults(run=partial(run, here))


def _list(here: Surroundings, args: argparse.Namespace) -> int:
    found = here.services.webhooks.list(
        state=WebhookState.PARKED if args.parked else None,
        client_id=args.client,
        limit=args.limit,
    )
    if args.json:
        _print_json({"webhooks": [_to_json(listed) for listed in found]})
        return OK
    for listed in found:
        delivery = listed.delivery
        print(
            f"{delivery.state.value:10}{delivery.created_at.isoformat(timespec='seconds')}  "
            f"{delivery.id}  {delivery.client_id}  {listed.type or 'no longer kept'}  "
            f"tries: {delivery.attempts}  last: {delivery.last_code or '-'}"
        )
    if not found:
        print("none")
    return OK


def _replay(here: Surroundings, args: argparse.Namespace) -> int:
    if args.client is not None:
        count = here.services.webhooks.replay_parked(args.client)
    else:
        here.services.webhooks.replay(args.id)
        count = 1
    if args.json:
        _print_json({"replayed": count})
    else:
        print(f"to be sent again: {count}. The worker sends them.")
    return OK


def _rotate(here: Surroundings, args: argparse.Namespace) -> int:
    issued = here.services.operators.rotate_webhook_secret(args.client)
    secret = issued.webhook_secret.value if issued.webhook_secret else None
    if args.json:
        _print_json({"client_id": issued.client_id, "webhook_secret": secret})
        return OK
    print("New secret. Keep it now; it can't be shown again.")
    print(f"  {issued.client_id}  webhook_secret  {secret}")
    print("Both secrets sign for 24 hours, then the new one alone.")
    return OK


def _test(here: Surroundings, args: argparse.Namespace) -> int:
    trial = here.services.webhooks.try_out(args.client)
    is_right = trial.accepts_good and trial.refuses_bad
    if args.json:
        _print_json(
            {
                "good_signature": {"answer": trial.good, "accepted": trial.accepts_good},
                "bad_signature": {"answer": trial.bad, "refused": trial.refuses_bad},
                "ok": is_right,
            }
        )
        return OK if is_right else NOT_RIGHT
    print(f"good signature: {_verdict(trial.good, accepted=trial.accepts_good)}")
    print(f"bad signature:  {_verdict(trial.bad, accepted=trial.bad.startswith('2'))}")
    if is_right:
        print("This receiver takes what we sign and nothing else.")
    elif not trial.accepts_good:
        print("This receiver does not take what we send.")
    elif trial.bad.isdecimal():
        print("This receiver takes what anybody signs: it does not verify signatures.")
    else:
        print("Without an answer to the bad signature nothing is shown. Try again.")
    return OK if is_right else NOT_RIGHT


def _verdict(answer: str, *, accepted: bool) -> str:
    if not answer.isdecimal():
        return f"no answer ({answer})"
    return f"{'accepted' if accepted else 'refused'} ({answer})"


def _to_json(listed: Listed) -> dict[str, Any]:
    delivery = listed.delivery
    return {
        "id": delivery.id,
        "event": delivery.event_id,
        "type": listed.type,
        "client_id": delivery.client_id,
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        "last_code": delivery.last_code,
        "created_at": delivery.created_at.isoformat(),
        "due_at": delivery.due_at.isoformat(),
        "delivered_at": delivery.delivered_at.isoformat() if delivery.delivered_at else None,
    }


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a whole number from 1")
    return int(text)


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2))
