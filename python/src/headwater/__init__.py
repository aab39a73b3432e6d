"""Headwater's client: point-in-time training datasets and online features, typed and checked.

>>> import headwater
>>> client = headwater.Client()  # HEADWATER_SERVER and HEADWATER_TOKEN, as the command line has them
>>> train = client.dataset("delay_model_v1", spine=flights, name="delays")
>>> train.to_pandas().shape
(4, 9)
>>> now = client.get_features("delay_model_v1", [{"origin": "ORD", "destination": "LAX"}])
>>> len(now.to_pandas(keys=False).columns)
5

`headwater.v1` has the generated stubs of all services, for calls that `Client` has no method for.
"""

from headwater import errors
from headwater._catalog import Feature, FeatureList
from headwater._client import Client, Difference, Events, Join, LeaveOut, Query, Verification
from headwater._connection import DEFAULT_SERVER
from headwater._dataset import Dataset
from headwater._feedback import Logged, Reported
from headwater._manifest import Column, Manifest
from headwater._online import Features
from headwater._version import __version__
from headwater.errors import HeadwaterError

__all__ = [
    "DEFAULT_SERVER",
    "Client",
    "Column",
    "Dataset",
    "Difference",
    "Events",
    "Feature",
    "FeatureList",
    "Features",
    "HeadwaterError",
    "Join",
    "LeaveOut",
    "Logged",
    "Manifest",
    "Query",
    "Reported",
    "Verification",
    "__version__",
    "errors",
]
