#!/usr/bin/env python3
"""Example: how a program in Python asks the Tapline agent of its station who is here. Standard library only.

    tapwho.py who                                   who is here
    tapwho.py watch [N]                             every change, as it happens; N ends after so many
    tapwho.py sign APPLICATION ACTION MEANING FILE  record that the person here signs FILE; a PIN, if asked for, on standard input
    tapwho.py claim [EMERGENCY] [NOTE]              take responsibility for an emergency, in the name of whoever taps next
"""

import base64
import hashlib
import http.client
import json
import os
import socket
import sys


class Agent(http.client.HTTPConnection):
    """A connection to the agent's socket. The agent knows the caller by what the kernel says of the other end."""

    def __init__(self):
        super().__init__("tapline")
        self.path = os.environ.get("TAPLINE_SOCKET", "/run/tapline/agent.sock")

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.path)


class Refused(Exception):
    """The agent said no; the message is for people."""


def open_call(verb, path, body=None):
    agent = Agent()
    agent.request(verb, path, json.dumps(body or {}), {"Content-Type": "application/json"})
    answer = agent.getresponse()
    if answer.status != 200:
        error = json.load(answer)["error"]
        raise Refused(f"{error['kind']}: {error['message']}")
    return answer


def call(verb, path, body=None):
    return json.load(open_call(verb, path, body))


def text(presence):
    state = presence.get("state")
    if state == "PRESENCE_STATE_NAMED":
        return f"{presence['person']['display_name']} ({presence['person']['id']})"
    if state == "PRESENCE_STATE_EMERGENCY":
        return "emergency"
    if state == "PRESENCE_STATE_UNATTRIBUTED":
        return "somebody, and no record says who"
    return "nobody"


def who():
    return call("GET", "/api/v1/presence")["presence"]


def watch(most=""):
    # The first event is the present state. After a break, connect again with the last id in the header Last-Event-ID.
    left, shown = int(most) if most else -1, None
    for line in open_call("GET", "/api/v1/watch"):
        now = text(json.loads(line[6:])["presence"]) if line.startswith(b"data: ") else shown
        if now != shown:  # other events are notices, such as a refused badge
            print(now, flush=True)
            left, shown = left - 1, now
        if left == 0:
            return


def sign(application, name, meaning, path):
    with open(path, "rb") as f:
        digest = hashlib.sha256(f.read()).digest()
    pin = sys.stdin.readline().strip()
    body = {"application": application, "name": name, "meaning": meaning, "digest": base64.b64encode(digest).decode(), "pin": pin}
    answer = call("POST", "/api/v1/sign", body)
    print("signed:", base64.b64decode(answer["envelope"]).decode())  # the signed record: keep it with the file


def claim(emergency="", note=""):
    presence = who()
    waiting = [presence["emergency"]] if presence.get("emergency") else presence.get("unclaimed", [])
    if not emergency and not waiting:
        raise Refused("no emergency waits for anybody")
    answer = call("POST", "/api/v1/emergency/claim", {"emergency": emergency or waiting[0]["id"], "note": note})
    print(f"tap your badge now; {answer['missing']} people must")


def main(args):
    calls = {"who": lambda: print(text(who())), "watch": watch, "sign": sign, "claim": claim}
    if not args or args[0] not in calls:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        calls[args[0]](*args[1:])
    except (Refused, OSError) as why:
        print(why, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
