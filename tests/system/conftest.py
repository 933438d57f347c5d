"""A real server, a real database and a real receiver for the system tests.

Starting takes many seconds, so one server serves all tests. A test that kills or
stops it leaves it that way: ``hub`` starts it again for the next test.
"""

import sys
import types
from pathlib import Path

import pytest

from hubtools.broker import Broker
from hubtools.certificates import Authority
from hubtools.receiving import Receiver
from hubtools.settings import Settings
from hubtools.system import Hub, system_receiver

# The pure rooms, as ``finance_hub``, without the addon's own __init__.py.
package = types.ModuleType("finance_hub")
package.__path__ = [str(Path(__file__).resolve().parents[2])]
sys.modules.setdefault("finance_hub", package)


@pytest.fixture(scope="session")
def settings() -> Settings:
    """The ports, folders and variables of the tools."""
    return Settings.read()


@pytest.fixture(scope="session")
def hub_session(settings):
    """A server on a fresh database with demo data and a chart of accounts."""
    hub = Hub(settings)
    hub.create_database()
    hub.start()
    yield hub
    hub.drop_database()


@pytest.fixture(scope="session")
def receiver_session(settings):
    """The bundled receiver, without what it learned in an earlier run."""
    receiver = system_receiver(settings)
    receiver.stop()
    receiver.secrets_file.unlink(missing_ok=True)
    receiver.start()
    yield receiver
    receiver.stop()


@pytest.fixture
def hub(hub_session) -> Hub:
    """The running server (started again when the last test ended it)."""
    if not hub_session.running:
        hub_session.restart()
    return hub_session


@pytest.fixture
def receiver(receiver_session) -> Receiver:
    """The running receiver: nothing received yet, answering OK."""
    receiver_session.start()
    receiver_session.control("ok")
    receiver_session.clear()
    return receiver_session


@pytest.fixture(scope="session")
def authority():
    """A certificate authority of our own."""
    return Authority()


@pytest.fixture(scope="session")
def broker_session(settings, authority):
    """A RabbitMQ with a TLS listener, on an empty disk."""
    broker = Broker(settings, authority.server_files("127.0.0.1", "broker.test"))
    broker.stop()
    broker.forget()
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def broker(broker_session) -> Broker:
    """The running broker (started again when the last test ended it)."""
    broker_session.start()
    return broker_session
