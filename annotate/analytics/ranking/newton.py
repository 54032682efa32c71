"""Maximum likelihood of votes on pairs by Newton's method, and the sandwich covariance by cluster.

Every model of pairs sees a vote through d = strength(left) - strength(right) + controls·effects and, where it has
one, a tie parameter. A model says what a vote contributes (see `Terms`); all else is the same for all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit

from annotate.analytics.comparisons import Floats
from annotate.analytics.ranking.votes import Fit, Votes, counted

STEPS, TOLERANCE = 60, 1e-10
# With fewer clusters a parameter the sandwich is too narrow (MacKinnon & White 1985 on small samples).
CLUSTERS_EACH = 10
# Effects of controls have a normal prior of this standard deviation: it changes nothing that votes can tell, and
# keeps finite what they cannot (a control that always favours the same author).
EFFECT_SPREAD = 10.0


@dataclass(frozen=True)
class Terms:
    """One vote's log-likelihood and its derivatives by d and by the tie parameter t, arrays (V,).

    Without a tie parameter t, dt and tt are None.
    """

    log: Floats
    d: Floats
    dd: Floats
    t: Floats | None = None
    dt: Floats | None = None
    tt: Floats | None = None


Model = Callable[[Floats, Floats, float], Terms]  # d (V,), outcome (V,), tie


def maximise(votes: Votes, model: Model, *, tie: float | None, prior: float = 0.0, robust: bool = True) -> Fit:
    """Fit a model of pairs. tie: where its tie parameter starts, None when it has none. robust: with the sandwich
    covariance; otherwise with the model's own, which costs no look at the single votes.

    prior: so many votes of each item against an imagined average one, half of them won; 0 for maximum likelihood,
    which exists only where the votes connect all items both ways (Ford 1957).
    """
    rows = counted(votes)
    n, p = rows.n, rows.controls.shape[1]
    at = np.zeros(n + p + (tie is not None))
    if tie is not None:
        at[-1] = tie
    value, gradient, hessian = _objective(rows, model, at, tie is not None, prior)
    iterations = 0
    while iterations < STEPS:
        iterations += 1
        step = cho_solve(cho_factor(hessian), gradient)
        # Newton overshoots far from the maximum: halve until the likelihood does not fall.
        for _ in range(40):
            following = _objective(rows, model, at + step, tie is not None, prior)
            if following[0] >= value - 1e-12 * abs(value):
                break
            step = step / 2
        at = at + step
        value, gradient, hessian = following
        if np.abs(step).max(initial=0) < TOLERANCE:
            break
    at[:n] -= at[:n].mean()
    if robust:
        covariance = sandwich(votes, model, at, hessian, tie is not None)
    else:
        covariance = cho_solve(cho_factor(hessian), np.eye(len(at)))
    return Fit(
        strengths=at[:n],
        effects=at[n : n + p],
        tie=float(at[-1]) if tie is not None else None,
        covariance=covariance[: n + p, : n + p],
        log_likelihood=value,
        iterations=iterations,
        prior=prior,
        names=votes.names,
    )


def _differences(rows: Votes, at: Floats) -> Floats:
    d = at[rows.left] - at[rows.right]
    p = rows.controls.shape[1]
    return d + rows.controls @ at[rows.n : rows.n + p] if p else d


def _objective(rows: Votes, model: Model, at: Floats, ties: bool, prior: float) -> tuple[float, Floats, Floats]:
    """The log-likelihood, its gradient, and minus its Hessian made definite: without a prior only differences of
    strengths matter, so a term that holds their mean changes nothing else. A prior holds it itself."""
    n, w = rows.n, rows.weight
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        terms = model(_differences(rows, at), rows.outcome, float(at[-1]) if ties else 0.0)
    value = float(w @ terms.log)
    if not np.isfinite(value):
        return -np.inf, at, np.eye(len(at))
    gradient = _to_parameters(rows, w * terms.d, w * terms.t if terms.t is not None else None)
    hessian = np.zeros((len(at), len(at)))
    curve = -w * terms.dd
    cross = np.bincount(rows.left * n + rows.right, curve, n * n).reshape(n, n)
    cross = cross + cross.T
    hessian[:n, :n] = np.diag(cross.sum(axis=1)) - cross
    for k in range(rows.controls.shape[1]):
        row = _to_parameters(rows, curve * rows.controls[:, k], None)
        hessian[n + k, : len(row)] = row
        hessian[: len(row), n + k] = row
    if terms.dt is not None and terms.tt is not None:
        row = _to_parameters(rows, -w * terms.dt, -w * terms.tt)
        hessian[-1], hessian[:, -1] = row, row
    if prior:
        won = expit(at[:n])
        value += prior * float(np.log(won * (1 - won)).sum()) / 2
        gradient[:n] += prior * (0.5 - won)
        hessian[:n, :n] += np.diag(prior * won * (1 - won))
        if ties:
            # What holds strengths together must hold the share of ties as well.
            value -= prior * float(at[-1]) ** 2 / 2 / EFFECT_SPREAD**2
            gradient[-1] -= prior * at[-1] / EFFECT_SPREAD**2
            hessian[-1, -1] += prior / EFFECT_SPREAD**2
    effects = at[n : n + rows.controls.shape[1]]
    value -= float(effects @ effects) / 2 / EFFECT_SPREAD**2
    gradient[n : n + len(effects)] -= effects / EFFECT_SPREAD**2
    hessian[n : n + len(effects), n : n + len(effects)] += np.eye(len(effects)) / EFFECT_SPREAD**2
    hessian[:n, :n] += 1e-12 if prior else curve.sum() / n**2 + 1e-12
    return value, gradient, hessian


def _to_parameters(rows: Votes, by_d: Floats, by_tie: Floats | None) -> Floats:
    """Sums over the votes of a derivative by d, as derivatives by strengths, effects and (where given) the tie."""
    strengths = np.bincount(rows.left, by_d, rows.n) - np.bincount(rows.right, by_d, rows.n)
    tie = [] if by_tie is None else [by_tie.sum()]
    return np.concatenate([strengths, by_d @ rows.controls, tie])


def sandwich(votes: Votes, model: Model, at: Floats, hessian: Floats, ties: bool) -> Floats:
    """H⁻¹ (Σ_c g_c g_cᵀ) H⁻¹ · C/(C-1) with g_c the gradient of cluster c (White 1982; Liang & Zeger 1986): right
    also where the votes of a task are alike, or the model is not quite true. Strengths are relative to their mean."""
    terms = model(_differences(votes, at), votes.outcome, float(at[-1]) if ties else 0.0)
    scores = cluster_scores(
        votes, len(at), votes.weight * terms.d, votes.weight * terms.t if terms.t is not None else None
    )
    bread = cho_solve(cho_factor(hessian), np.eye(len(at)))
    return sandwiched(bread, (scores.T @ scores).toarray(), scores.shape[0], votes.n)


def sandwiched(bread: Floats, meat: Floats, clusters: int, n: int) -> Floats:
    """The sandwich of `clusters` clusters, strengths (the first n) relative to their mean; the model's own covariance
    where that is wider and the clusters are too few to speak for themselves."""
    centred = np.eye(len(bread))
    centred[:n, :n] -= 1 / n
    own = centred @ bread @ centred
    if clusters < 2:
        return own
    covariance = centred @ bread @ meat @ bread @ centred * clusters / (clusters - 1)
    few = clusters < CLUSTERS_EACH * len(bread)
    return own if few and np.trace(own) > np.trace(covariance) else covariance


def cluster_scores(votes: Votes, parameters: int, by_d: Floats, by_tie: Floats | None) -> sparse.csr_array:
    """The gradient of each cluster, (C, parameters), sparse: a task touches few items."""
    p = votes.controls.shape[1]
    columns = [votes.left, votes.right, *(np.full(len(votes), votes.n + k) for k in range(p))]
    values = [by_d, -by_d, *(by_d * votes.controls[:, k] for k in range(p))]
    if by_tie is not None:
        columns.append(np.full(len(votes), parameters - 1))
        values.append(by_tie)
    row = np.tile(votes.cluster, len(columns))
    size = (int(votes.cluster.max(initial=-1)) + 1, parameters)
    return sparse.coo_array((np.concatenate(values), (row, np.concatenate(columns))), shape=size).tocsr()
