"""The API of a Hoard, without making its some seventy routes anew for each test.

That takes FastAPI longer than what most tests do with them. So an application that a test is done
with serves the next one, with the features of its Hoard in place of those before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import FastAPI

from api.app import Serving, create_app
from api.http.features import install_features
from api.tracking.hub import Timing
from infrastructure.bootstrap import Hoard
from infrastructure.processes.api import features_of, serving_of

_idle: defaultdict[Serving, list[FastAPI]] = defaultdict(list)


@contextmanager
def application(hoard: Hoard, *, timing: Timing | None = None) -> Iterator[FastAPI]:
    """Lend the application of an assembled Hoard, as :func:`infrastructure.processes.api.app_of`
    makes it."""
    features, serving = features_of(hoard, timing=timing), serving_of(hoard.settings)
    if _idle[serving]:
        app = _idle[serving].pop()
        install_features(app, features.each())
    else:
        app = create_app(features, serving)
    yield app
    # Not after an error: whatever went wrong may still run there.
    _idle[serving].append(app)
