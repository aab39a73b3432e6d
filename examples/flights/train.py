# %% [markdown]
# # Will a flight arrive late?
#
# A model that says so at the moment a flight leaves: trained on a dataset in which each flight has the features as they were
# known when it left, and asked with the features as they are known now. Both come from the same service, so the model
# sees the same columns, made by the same definitions.
#
# It needs a server that has the flights (`make demo-python` does all of this, on a server of its own):
#
#     headwater apply examples/flights/definitions
#     headwater ingest flights examples/flights/data/flights-2001-01-week[1-4].parquet
#     headwater materialize airport_delays route_delays --wait
#
# and, beside the client with pandas, scikit-learn.

# %%
from pathlib import Path

import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

import headwater

DATA = Path(__file__).parent / "data"
SERVICE = "delay_model_v1"

client = headwater.Client()  # HEADWATER_SERVER and HEADWATER_TOKEN

# %% [markdown]
# ## What features are there?

# %%
for feature in client.features():
    print(f"{feature.ref:30} {feature.type:8} {feature.description}")

# %% [markdown]
# ## A training set
#
# The spine: 20,000 flights with the time they left, and how late they arrived.

# %%
spine = pd.read_parquet(DATA / "spine.parquet")
dataset = client.dataset(SERVICE, spine=spine, name="late_flights", purpose="predict late arrivals")
frame = dataset.to_pandas()
print(f"{dataset.manifest!r}: {len(dataset.features)} features")
for column in dataset.manifest.columns:
    if column.origin.startswith("feature:"):
        print(f"  {column.name:28} {column.type:8} {column.statuses}")

# %% [markdown]
# ## A model
#
# It learns from the flights of the first three weeks and is judged by those after them, as it will be in use. What time it is
# when a flight leaves is known without a feature store; how much the features add is the difference to a model that
# knows nothing else.


# %%
def inputs(flights: pd.DataFrame, features: list[str]) -> pd.DataFrame:
    """What the model reads: the features, and the clock. Missing features are NaN, which the model takes."""
    when = flights["timestamp"].dt
    clock = pd.DataFrame({"hour": when.hour, "weekday": when.day_of_week}, index=flights.index)
    return pd.concat([clock, flights[features]], axis="columns").astype("float64")


late = frame["delay"] > 15
learned = frame["timestamp"] < pd.Timestamp("2001-01-22", tz="UTC")


def trained(features: list[str]) -> tuple[HistGradientBoostingClassifier, float]:
    model = HistGradientBoostingClassifier(max_iter=60, learning_rate=0.1, random_state=0)
    model.fit(inputs(frame[learned], features), late[learned])
    judged = model.predict_proba(inputs(frame[~learned], features))[:, 1]
    return model, float(roc_auc_score(late[~learned], judged))


_, clock_only = trained([])
model, with_features = trained(dataset.features)
print(f"{late.mean():.1%} of the flights are late; trained on {learned.sum():,}, judged by {(~learned).sum():,}")
print(f"ROC AUC: {clock_only:.3f} by the clock alone, {with_features:.3f} with the features")
assert with_features > clock_only > 0.5, "the features are to help"

# %% [markdown]
# ## In use
#
# A flight is about to leave. The service gives the newest features, the model reads them under the names it learned. Nobody
# has flown the last of these routes: the statuses say so, and how far to trust the model there.

# %%
leaving = pd.DataFrame(
    [("ORD", "LAX"), ("ATL", "LGA"), ("SFO", "SEA"), ("BOS", "XXX")],
    columns=["origin", "destination"],
)
leaving["timestamp"] = pd.Timestamp("2001-02-01 17:00", tz="UTC")
now = client.get_features(SERVICE, leaving[["origin", "destination"]], purpose="predict late arrivals")
known = pd.concat([leaving, now.to_pandas(keys=False)], axis="columns")
leaving["late"] = model.predict_proba(inputs(known, dataset.features))[:, 1]
leaving["route"] = now.statuses["route_delays__mean_delay"]
print(leaving.to_string(index=False, float_format="{:.2f}".format))
assert leaving["late"].between(0, 1).all()
assert now.names == dataset.features, "what the model learned from is what it is asked with"
assert leaving["route"].tolist() == ["PRESENT", "PRESENT", "PRESENT", "NO_ROW"]

# %% [markdown]
# ## Again, whenever it is asked for
#
# Whoever has the id of the dataset gets the rows that the model learned from, whatever has been loaded since.

# %%
again = client.fetch(dataset.id)
assert again.to_arrow().equals(dataset.to_arrow())
assert client.verify(dataset.id), "computed again, it is the same"
print(f"{dataset.id} was fetched and verified: content {dataset.manifest.content_digest[:12]}")
client.close()
