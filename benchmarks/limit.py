"""(b) How much of what the machine can multiply the engine makes use of."""

from __future__ import annotations

from benchmarks.flops import total_flops
from benchmarks.group import Group, at_least
from benchmarks.interleaved import Figure, rounds
from benchmarks.ours import Ours, Setup
from benchmarks.plan import Plan
from benchmarks.products import Products, precision_of
from benchmarks.remote import Remote
from core.model_directory import ModelDirectory, directory_called, find_model

ROWS, ROWS_QUICK = 6_000, 1_500
IMPOSSIBLE = 1.02
"""A share over this cannot be: then FLOPs are miscounted, or the products were measured badly."""

HOW = (
    "The floating-point operations of all products that the engine executes, over the seconds of "
    "`engine.score` (tokenizing included); held against the best of torch, numpy and ONNX Runtime at products of the "
    "model's shapes, with as many tokens as a batch has, on all cores: one product over all cores or one on each. "
    "Rounds of both alternate, each in a process of its own. 'Best' is the way with the highest median."
)


def measure(plan: Plan) -> Group:
    """Measures with the six-layer model, and with the student if there is one and the run is not the quick one."""
    group = Group("b", "Share of the machine's matrix speed", HOW)
    _one(plan, group, plan.model, "sgemm_share", at_least(0.92))
    if not plan.quick and directory_called(plan.student):
        _one(plan, group, plan.student, "student_sgemm_share", None)
    return group


def _one(plan: Plan, group: Group, name: str, key: str, goal: object) -> None:
    model = ModelDirectory.load(find_model(name))
    texts = plan.corpus.texts(plan.rows or plan.size(ROWS_QUICK if plan.quick else ROWS))
    plan.say(f"(b) {name}: {len(texts):,} rows, {plan.rounds} rounds")
    with Remote(Ours, name, "float32") as ours:
        setup: Setup = ours.call("setup")
        precision = precision_of(setup.name)
        with Remote(Products, model.dim, model.hidden_dim, setup.token_budget) as products:
            turns = {"engine": lambda: ours.call("score", texts)}
            for kind in dict.fromkeys(("float32", precision)):
                turns[kind] = lambda kind=kind: products.call("measure", kind)  # type: ignore[misc]
            found = rounds(turns, plan.rounds, say=plan.say)
    shapes = found["engine"][0][1]
    if not shapes:
        raise RuntimeError("The engine ran no batch through its runtime's `run`; benchmarks.ours must learn where.")
    flops = total_flops(model, shapes)
    tokens = sum(rows * length for rows, length in shapes)
    group.notes.append(
        f"{name}: {setup.name}; {len(texts):,} rows in {len(shapes):,} batches, {tokens:,} tokens, "
        f"{flops / 1e9:,.0f} GFLOP; products in {precision}"
    )
    prefix = "" if key == "sgemm_share" else "student_"
    engine = Figure.of(flops / seconds for seconds, _ in found["engine"])
    group.add(f"{prefix}engine_flops", f"engine, {name}", _giga(engine), "GFLOP/s")
    shares = {kind: _best(group, prefix, kind, found[kind], engine) for kind in found if kind != "engine"}
    for kind, share in shares.items():
        own = kind == precision
        what = f"{name}: share of the best {kind} product"
        group.add(key if own else f"{key}_{kind}", what, share, "share", goal if own else None)  # type: ignore[arg-type]
    if shares[precision].median > IMPOSSIBLE:
        group.notes.append(
            f"THE MEASURE IS WRONG: {name} cannot reach {shares[precision].median:.3f} of the best product."
        )
        plan.say(f"[bold red]{group.notes[-1]}[/]")


def _best(group: Group, prefix: str, kind: str, found: list[dict[str, float]], engine: Figure) -> Figure:
    """Reports every way to multiply, and returns the engine's share of the best."""
    ways = {way: Figure.of(one[way] for one in found) for way in found[0]}
    for way, figure in ways.items():
        slug = f"{kind}_{way}".replace(", ", "_").replace(" ", "_")
        group.add(f"{prefix}{slug}_flops", f"{kind} products: {way}", _giga(figure), "GFLOP/s")
    return engine.over(max(ways.values(), key=lambda figure: figure.median))


def _giga(figure: Figure) -> Figure:
    return Figure.of(value / 1e9 for value in figure.values)
