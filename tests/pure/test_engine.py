# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import random
import time
from collections import Counter, defaultdict

import pytest
from finance_hub.transport import (
    CLOSED,
    HALF_OPEN,
    OPEN,
    Breaker,
    Gate,
    constants,
    parse_networks,
)
from finance_hub.transport.engine import Claim, Destination, Engine, Parcel
from finance_hub.transport.http import HttpOptions
from sink import Sink

LOOPBACK = parse_networks("127.0.0.0/8")


def destination(url, key=1, concurrency=4, window=8, timeout=5.0, gate=None):
    return Destination(
        key, "https", HttpOptions(url, {}), timeout, concurrency, window, gate or Gate()
    )


class Outbox:
    """A database in memory, with the rules by which a dispatcher claims and records.

    :ivar rows: list of [destination, lane, id, state, due (monotonic)]
    """

    def __init__(self, *destinations):
        self.destinations = {d.key: d for d in destinations}
        self.rows = []
        self.in_hand = set()
        self.recorded = []
        self.claims = []
        self.retry = 0.0
        self.attempts = 3

    def add(self, key, lane, count=1):
        for _index in range(count):
            self.rows.append([key, lane, len(self.rows), "waiting", 0.0, 0])

    def claim(self, in_hand):
        now, wall = time.monotonic(), time.time()
        self.claims.append(dict(in_hand))
        parcels, stopped, waits = [], set(), []
        for key, lane, number, state, due, _tries in self.rows:
            place = (key, lane)
            if state == "delivered" or state == "dead":
                continue
            if number in self.in_hand:
                continue
            target = self.destinations[key]
            hands = in_hand.get(key, 0)
            if due > now:
                stopped.add(place)
                waits.append(due - now)
            if (
                place in stopped
                or target.gate.opens_at(wall)
                or hands + sum(p.destination is target for p in parcels)
                >= target.window
            ):
                stopped.add(place)
                continue
            parcels.append(Parcel(target, lane, str(number), str(number).encode()))
        self.in_hand |= {int(parcel.message_id) for parcel in parcels}
        return Claim(parcels, None if parcels else min(waits, default=None))

    def record(self, results):
        self.recorded.append(results)
        for result in results:
            row = self.rows[int(result.parcel.message_id)]
            self.in_hand.discard(row[2])
            if result.outcome is None:
                continue
            assert row[3] == "waiting", "recorded twice"
            row[5] += 1
            if result.outcome.delivered:
                row[3] = "delivered"
            elif row[5] >= self.attempts:
                row[3] = "dead"
            else:
                row[4] = time.monotonic() + self.retry

    def states(self):
        return Counter(row[3] for row in self.rows)

    def results(self):
        return [result for batch in self.recorded for result in batch]


def run(outbox, budget=20.0, threads=True, **values):
    engine = Engine(
        outbox.claim,
        outbox.record,
        budget=budget,
        networks=LOOPBACK,
        threads=threads,
        **values,
    )
    return engine.run()


@pytest.mark.parametrize("threads", [True, False])
def test_everything_arrives_once_and_in_order(threads):
    with Sink() as sink:
        outbox = Outbox(destination(sink.url()))
        for lane in "xyz" * 20:
            outbox.add(1, lane)
        assert run(outbox, threads=threads) is False
        assert outbox.states() == {"delivered": 60}
        assert len(sink.arrived) == 60
        for offset in range(3):
            lane = [int(i) for i in sink.ids() if int(i) % 3 == offset]
            assert lane == sorted(lane)


def test_nothing_to_do_ends_at_once():
    outbox = Outbox()
    started = time.monotonic()
    assert run(outbox) is False
    assert time.monotonic() - started < 0.5
    assert not outbox.recorded


def test_at_most_so_many_at_a_time():
    with Sink(lambda *_args: (200, {}, 0.01)) as sink:
        outbox = Outbox(destination(sink.url(), concurrency=3, window=12))
        for number in range(40):
            outbox.add(1, f"lane {number}")
        run(outbox)
        assert sink.most["/a"] == 3
        assert outbox.states() == {"delivered": 40}


def test_the_window_is_refilled_and_never_exceeded():
    with Sink() as sink:
        outbox = Outbox(destination(sink.url(), concurrency=2, window=8))
        for number in range(100):
            outbox.add(1, f"lane {number}")
        most = 0
        claim = outbox.claim

        def watched(in_hand):
            nonlocal most
            result = claim(in_hand)
            most = max(most, in_hand.get(1, 0) + len(result.parcels))
            return result

        outbox.claim = watched
        run(outbox)
        assert most == 8
        assert outbox.states() == {"delivered": 100}


def test_the_first_failure_stops_its_lane_and_no_other():
    """Nothing of the lane is sent before the failure is recorded and due again."""
    with Sink(lambda _path, number, tries: 500 if number == "1" else 200) as sink:
        outbox = Outbox(destination(sink.url()))
        outbox.retry = 60
        outbox.add(1, "broken", 5)
        outbox.add(1, "fine", 5)
        assert run(outbox) is False
        assert [i for i in sink.ids() if int(i) < 5] == ["0", "1"]
        assert outbox.states() == {"delivered": 6, "waiting": 4}
        untried = [r.parcel.message_id for r in outbox.results() if r.outcome is None]
        assert set(untried) == {"2", "3", "4"}


def test_what_is_claimed_before_a_failure_is_recorded_does_not_overtake():
    """Recording takes its time, and more of the lane is claimed meanwhile."""
    with Sink(
        lambda _p, number, tries: 500 if (number, tries) == ("0", 1) else 200
    ) as (sink):
        outbox = Outbox(destination(sink.url(), concurrency=1, window=2))
        outbox.add(1, "one", 12)
        record = outbox.record

        def slow(results):
            time.sleep(0.02)
            record(results)

        outbox.record = slow
        run(outbox)
        delivered = [int(i) for i in sink.ids()]
        assert delivered[0] == 0 and delivered[1:] == sorted(delivered[1:])
        assert outbox.states() == {"delivered": 12}


def test_a_slow_destination_beside_fast_ones():
    with Sink(lambda path, *_args: (200, {}, 0.6 if path == "/slow" else 0)) as sink:
        outbox = Outbox(
            destination(sink.url("/slow"), 1), destination(sink.url("/fast"), 2)
        )
        outbox.add(1, "slow", 1)
        for number in range(200):
            outbox.add(2, f"lane {number}")
        started = time.monotonic()
        run(outbox)
        last = max(at for (path, _id), at in sink.times.items() if path == "/fast")
        assert last - started < 0.55
        assert outbox.states() == {"delivered": 201}


def test_what_comes_while_one_hangs_does_not_wait_for_it():
    """Nothing else is due when the run begins; soon something is."""
    with Sink(lambda path, *_args: (200, {}, 1.2 if path == "/slow" else 0)) as sink:
        outbox = Outbox(
            destination(sink.url("/slow"), 1), destination(sink.url("/fast"), 2)
        )
        outbox.add(1, "slow")
        claim, started = outbox.claim, time.monotonic()

        def later(in_hand):
            if len(outbox.rows) == 1 and time.monotonic() - started > 0.3:
                outbox.add(2, "fresh")
            return claim(in_hand)

        outbox.claim = later
        run(outbox)
        assert sink.times["/fast", "1"] - started < 0.3 + 3 * constants.LOOK_INTERVAL


@pytest.mark.parametrize("more", [True, False])
def test_who_has_got_all_does_not_ask_while_it_sends(more):
    """Asking would compete with the first request for the interpreter."""
    with Sink(lambda *_args: (200, {}, constants.LOOK_INTERVAL / 3)) as sink:
        outbox = Outbox(destination(sink.url()))
        outbox.add(1, "only")
        claim = outbox.claim

        def all_of_it(in_hand):
            claimed = claim(in_hand)
            claimed.more = more
            return claimed

        outbox.claim = all_of_it
        run(outbox)
        assert outbox.states() == {"delivered": 1}
        meanwhile = [hands for hands in outbox.claims if hands.get(1)]
        assert bool(meanwhile) is more


def test_when_time_is_up_the_rest_is_handed_back():
    with Sink(lambda *_args: (200, {}, 0.05)) as sink:
        outbox = Outbox(destination(sink.url(), concurrency=1, window=8))
        outbox.add(1, "lane", 100)
        assert run(outbox, budget=0.3) is True, "there is more"
        assert not outbox.in_hand, "nothing stays in hand"
        states = outbox.states()
        assert states["delivered"] == len(sink.arrived) < 20
        assert any(result.outcome is None for result in outbox.results())


def test_the_others_go_on_when_time_is_up_and_one_has_not_answered(monkeypatch):
    monkeypatch.setattr(constants, "LATE_ANSWER", 0.1)
    with Sink(lambda path, *_args: (200, {}, 1.0 if path == "/slow" else 0.01)) as sink:
        outbox = Outbox(
            destination(sink.url("/slow"), 1, concurrency=1),
            destination(sink.url("/fast"), 2, concurrency=1),
        )
        outbox.add(1, "slow", 5)
        outbox.add(2, "fast", 400)
        started = time.monotonic()
        assert run(outbox, budget=0.3) is True
        assert time.monotonic() - started < 1.6
        assert len(sink.ids("/slow")) == 1, "late ones get nothing more"
        last = max(at for (path, _id), at in sink.times.items() if path == "/fast")
        assert last - started > 0.7, "the others went on"
        assert not outbox.in_hand


def test_overtime_ends(monkeypatch):
    monkeypatch.setattr(constants, "LATE_ANSWER", 0.1)
    monkeypatch.setattr(constants, "OVERTIME", 0.2)
    with Sink(lambda path, *_args: (200, {}, 1.0 if path == "/slow" else 0.01)) as sink:
        outbox = Outbox(
            destination(sink.url("/slow"), 1), destination(sink.url("/fast"), 2)
        )
        outbox.add(1, "slow")
        outbox.add(2, "fast", 400)
        started = time.monotonic()
        assert run(outbox, budget=0.2) is True
        last = max(at for (path, _id), at in sink.times.items() if path == "/fast")
        assert 0.2 < last - started < 0.65


# === GATES === #


def test_a_gate_that_shuts_hands_the_rest_back_untried():
    with Sink(429) as sink:
        outbox = Outbox(destination(sink.url(), concurrency=1, window=40))
        for number in range(30):
            outbox.add(1, f"lane {number}")
        assert run(outbox) is False
        assert len(sink.arrived) == 1
        assert outbox.states() == {"waiting": 30} and not outbox.in_hand


def test_the_breaker_opens_midway():
    with Sink(500) as sink:
        target = destination(sink.url(), concurrency=1, window=100)
        outbox = Outbox(target)
        for number in range(80):
            outbox.add(1, f"lane {number}")
        outbox.retry = 60
        run(outbox)
        assert len(sink.arrived) == constants.BREAKER_MIN_SAMPLE
        assert target.gate.breaker.state == OPEN


@pytest.mark.parametrize("status, state", [(200, CLOSED), (500, OPEN)])
def test_half_open_lets_exactly_one_through(status, state):
    with Sink(lambda *_args: (status, {}, 0.05)) as sink:
        gate = Gate(Breaker(state=OPEN, probe_at=1.0, trips=1))
        gate.breaker.half_open()
        target = destination(sink.url(), concurrency=8, window=16, gate=gate)
        outbox = Outbox(target)
        for number in range(16):
            outbox.add(1, f"lane {number}")
        claim, first = outbox.claim, []

        def once(in_hand):
            if first:
                return Claim()
            first.append(1)
            return claim(in_hand)

        outbox.claim = once
        run(outbox)
        assert len(sink.arrived) == 1
        assert gate.breaker.state == state
        assert sum(result.outcome is None for result in outbox.results()) == 15


def test_half_open_that_is_told_to_wait_is_tried_again_later():
    """A 429 decides nothing: neither closed nor for ever on trial."""
    with Sink(lambda *_args: (429, {"Retry-After": "30"}, 0)) as sink:
        gate = Gate(Breaker(state=HALF_OPEN, trips=2))
        outbox = Outbox(destination(sink.url(), gate=gate))
        outbox.add(1, "lane")
        run(outbox)
        assert gate.breaker.state == OPEN and gate.breaker.trips == 2
        assert 25 < gate.opens_at(time.time()) - time.time() <= 30


# === CRASHES === #


@pytest.mark.parametrize("threads", [True, False])
def test_a_claim_that_crashes_ends_the_run_and_what_arrived_is_recorded(threads):
    with Sink(lambda *_args: (200, {}, 0.05)) as sink:
        outbox = Outbox(destination(sink.url(), concurrency=2, window=4))
        for number in range(20):
            outbox.add(1, f"lane {number}")
        claim = outbox.claim

        def crash(in_hand):
            if outbox.states()["delivered"] >= 2:
                raise RuntimeError("no database")
            return claim(in_hand)

        outbox.claim = crash
        with pytest.raises(RuntimeError, match="no database"):
            run(outbox, threads=threads)
        assert outbox.states()["delivered"] >= 2
        assert outbox.states()["delivered"] == sum(
            bool(result.outcome) for result in outbox.results()
        )


def test_a_recording_that_crashes_ends_the_run():
    with Sink() as sink:
        outbox = Outbox(destination(sink.url()))
        outbox.add(1, "lane", 3)
        outbox.record = lambda _results: 1 / 0
        with pytest.raises(ZeroDivisionError):
            run(outbox)
        assert outbox.states() == {"waiting": 3}


def test_a_sender_that_crashes_counts_as_a_failure(caplog):
    class Broken:
        def sign_request(self, *_args):
            raise KeyError("no such thing")

    with Sink() as sink:
        outbox = Outbox(destination(sink.url()))
        outbox.destinations[1].options.signer = Broken()
        outbox.add(1, "lane", 3)
        outbox.retry = 60
        run(outbox)
    assert not sink.arrived
    (tried,) = [result for result in outbox.results() if result.outcome]
    assert tried.outcome.error == "internal"
    assert "could not send 0" in caplog.text


# === ANYTHING === #


class Patient(Breaker):
    """Never opens: what is tested is the order."""

    def record(self, *_args):
        """Nothing is too much."""


@pytest.mark.parametrize("seed", range(8))
def test_whatever_happens_nothing_is_lost_doubled_or_out_of_order(seed):
    """Random destinations, lanes, answers and delays against the rules of the outbox.

    A message that fails is sent again before its successors, one that is delivered
    never again, and nothing follows one that was given up.
    """
    chance = random.Random(seed)
    fates = defaultdict(lambda: chance.choices([200, 500, 503, 404], [8, 1, 1, 1])[0])

    def answer(path, number, tries):
        return fates[path, number, tries], {}, chance.choice([0, 0, 0, 0.003])

    with Sink(answer) as sink:
        targets = [
            destination(
                sink.url(f"/{key}"),
                key,
                concurrency=chance.randint(1, 5),
                window=chance.choice([2, 6, 20]),
                gate=Gate(Patient()),
            )
            for key in range(1, 4)
        ]
        outbox = Outbox(*targets)
        outbox.retry, outbox.attempts = 0.01, 30
        for _index in range(120):
            outbox.add(chance.randint(1, 3), f"lane {chance.randint(1, 6)}")
        assert run(outbox) is False
        assert outbox.states() == {"delivered": 120} and not outbox.in_hand
        delivered = set()
        tried = Counter()
        for path, number in sink.arrived:
            tried[path, number] += 1
            key, lane = outbox.rows[int(number)][:2]
            before = {
                row[2]
                for row in outbox.rows[: int(number)]
                if (row[0], row[1]) == (key, lane)
            }
            assert before <= delivered, "overtaken"
            assert int(number) not in delivered, "sent again after it arrived"
            if fates[path, number, tried[path, number]] == 200:
                delivered.add(int(number))
