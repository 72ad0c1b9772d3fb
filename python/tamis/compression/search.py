# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The Optuna study behind `tamis optimize`: shared, resumable, with the loss as a constraint.

The objective is the time as a share of the float model's; a trial is feasible if its drop is within the bound. A
study lives in any storage Optuna knows (SQLite file by default), so several processes or machines can work on one.
What workers share beside trials (uniform results, sensitivities, the space) are attributes of the study.
"""
import collections.abc
import contextlib
import os
import re
import socket
import time
import warnings

from ..errors import Error
from .recipe import require

ATTEMPTS = 8
WAIT = 60     # seconds for which a worker waits for others that write to an SQLite file
RACES = ("already exists", "UNIQUE constraint", "duplicate key", "is locked")  # what databases say of two at once
MARGIN = 2    # standard errors of the drop that a candidate has to leave free: the report part is another sample
SAME = 0.01   # times closer than this share are equal
SAMPLERS = ("tpe", "random", "nsga2", "gp", "grid")


def optuna():
    """The optuna package, quiet."""
    module = require("optuna")
    module.logging.set_verbosity(module.logging.ERROR)
    warnings.filterwarnings("ignore", category=module.exceptions.ExperimentalWarning)
    return module


def sampler(name, space, seed):
    """An Optuna sampler by our name."""
    module = optuna()
    if name == "tpe":
        return module.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=5)
    if name == "random":
        return module.samplers.RandomSampler(seed=seed)
    if name == "nsga2":
        return module.samplers.NSGAIISampler(seed=seed, population_size=16)
    if name == "gp":
        require("torch")
        require("scipy")
        return module.samplers.GPSampler(seed=seed)
    if name == "grid":
        return module.samplers.GridSampler(space.distributions(), seed=seed)
    raise Error(f"sampler '{name}': expected one of {', '.join(SAMPLERS)}")


def storage_url(text):
    """An Optuna URL: a path without a scheme is an SQLite file."""
    text = os.fspath(text)
    if re.match(r"[\w+]+://", text):
        return text
    folder = os.path.dirname(os.path.abspath(text))
    if not os.path.isdir(folder):
        raise Error("no such folder for the study", file=folder)
    return f"sqlite:///{os.path.abspath(text)}"


class Shared(collections.abc.MutableMapping):
    """The study's attributes as a mapping, read anew each time: other workers write too."""

    def __init__(self, study):
        self._study = study

    def _all(self):
        return self._study.user_attrs

    def __getitem__(self, key):
        return self._all()[key]

    def __contains__(self, key):
        return key in self._all()

    def __iter__(self):
        return iter(self._all())

    def __len__(self):
        return len(self._all())

    def __setitem__(self, key, value):
        self._study.set_user_attr(key, value)

    def __delitem__(self, key):
        raise TypeError("attributes of a study cannot be removed")


def _connect(url):
    """What Optuna takes as its storage."""
    if not url.startswith("sqlite:"):
        return url
    import sqlalchemy

    storage = optuna().storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": WAIT}})

    # SQLite has no SELECT FOR UPDATE: a transaction that reads before it writes lets two workers take the same trial.
    @sqlalchemy.event.listens_for(storage.engine, "begin")
    def lock(connection):
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return storage


def _open(storage, name):
    """The Optuna study, made where it is not there yet."""
    module, url = optuna(), storage_url(storage)
    for attempt in range(ATTEMPTS):
        try:
            return module.create_study(storage=_connect(url), study_name=name, load_if_exists=True, direction="minimize")
        except ImportError as error:
            raise Error(f"the storage '{_without_password(storage)}' needs a package that is not there: {error}") from None
        except Exception as error:  # SQLAlchemy and the database drivers have dozens
            # Two workers that begin at once may both make the tables.
            if attempt + 1 == ATTEMPTS or not any(words in str(error) for words in RACES):
                raise Error(f"cannot open the study in '{_without_password(storage)}': {_first_line(error)}") from None
            time.sleep(0.5)
    return None


@contextlib.contextmanager
def blaming(storage):
    """What the database refuses inside, a full disk for instance, becomes an Error that names the storage."""
    try:
        yield
    except optuna().exceptions.StorageInternalError as error:
        raise Error(f"cannot go on with the study in '{_without_password(storage)}': {_first_line(error.__cause__ or error)}") from None


def _first_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


class Study:
    """One search. `identity` says what it is about: a study of something else is refused, not continued."""

    def __init__(self, storage, name, identity):
        self._study = _open(storage, name)
        self.shared = Shared(self._study)
        for key, value in identity.items():
            known = self.shared.get(f"about:{key}")
            if known is None:
                self.shared[f"about:{key}"] = value
            elif known != value:
                raise Error(f"study '{name}' is about another {key} ({known}, not {value}): choose another --study or --storage")
        self.worker = f"{socket.gethostname()}:{os.getpid()}"
        self.shared[f"worker:{self.worker}"] = True
        workers = sorted(key for key in self.shared if key.startswith("worker:"))
        self.index = workers.index(f"worker:{self.worker}")

    def trials(self):
        """Finished trials as plain dicts, oldest first."""
        state = optuna().trial.TrialState
        return [{"number": t.number, "params": t.params, "worker": t.user_attrs.get("worker", ""),
                 "problem": t.user_attrs.get("problem", ""), "ratio": t.value if t.state == state.COMPLETE else None,
                 "uniform": t.user_attrs.get("uniform", False),
                 **{key: t.user_attrs.get(key) for key in ("drop", "error", "value", "seconds", "float_seconds", "bytes")}}
                for t in self._study.get_trials(deepcopy=False) if t.state.is_finished()]

    def add(self, params, space, figures, max_drop):
        """Enter what was measured before the search; it does not count as a trial."""
        module = optuna()
        found = {name: module.distributions.CategoricalDistribution(values) for name, values in space.distributions().items()}
        attributes = {**figures, "worker": self.worker, "uniform": True}
        self._study.add_trial(module.trial.create_trial(params=params, distributions=found, value=figures["ratio"], user_attrs=attributes,
                                                        constraints={"drop": excess(figures, max_drop)}))

    def done(self):
        """How many trials of the search have ended, in all workers."""
        return sum(t.state.is_finished() and not t.user_attrs.get("uniform") for t in self._study.get_trials(deepcopy=False))

    def suggest_first(self, all_params):
        """Parameters to try before the sampler's own."""
        for params in all_params:
            self._study.enqueue_trial(params, skip_if_exists=True)

    def run(self, space, sampler_name, objective, total, seed, max_drop, deadline, on_trial):
        """Try until the study has `total` finished trials or `deadline()` is true.

        `objective(params)` returns a dict with at least ratio, drop and error; it raises Error if the candidate fails.
        """
        # Two workers of one seed must not draw the same candidates.
        self._study.sampler = sampler(sampler_name, space, seed + 1000 * self.index + len(self.trials()))
        distributions = space.distributions()

        def one(trial):
            params = {name: trial.suggest_categorical(name, values) for name, values in distributions.items()}
            trial.set_user_attr("worker", self.worker)
            try:
                result = objective(params)
            except Error as error:
                trial.set_user_attr("problem", error.text)
                raise
            for key, value in result.items():
                trial.set_user_attr(key, value)
            trial.set_constraint("drop", excess(result, max_drop))
            return result["ratio"]

        def after(study, trial):
            on_trial()
            if deadline() or self.done() >= total:
                study.stop()

        if deadline() or self.done() >= total:
            return
        self._study.optimize(one, callbacks=[after], catch=(Error,))


def _without_password(url):
    return re.sub(r"(://[^:/@]+):[^@/]*@", r"\1:***@", os.fspath(url))


def excess(figures, max_drop):
    """How far a trial is above the bound, MARGIN standard errors included; at most 0 is feasible."""
    return figures["drop"] + MARGIN * (figures["error"] or 0.0) - max_drop


def feasible(trial, max_drop):
    """True if a finished trial keeps the bound."""
    return trial["ratio"] is not None and excess(trial, max_drop) <= 0


def best(trials, max_drop):
    """The fastest feasible trial, or None; of those as fast within what clocks can tell, the one that drops least."""
    found = [t for t in trials if feasible(t, max_drop)]
    fastest = min((t["ratio"] for t in found), default=0.0)
    return min((t for t in found if t["ratio"] <= fastest * (1 + SAME)), key=lambda t: (t["drop"], t["ratio"]), default=None)


def pareto(trials):
    """The trials that no other beats in both time and drop, fastest first."""
    front, least = [], float("inf")
    for trial in sorted((t for t in trials if t["ratio"] is not None), key=lambda t: (t["ratio"], t["drop"])):
        if trial["drop"] < least:
            front.append(trial)
            least = trial["drop"]
    return front
