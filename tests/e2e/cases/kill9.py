"""A short run of ../kill9, which is the long one."""
from harness.case import case
from harness.kill9 import Rounds


@case("stele", timeout=300)
def a_few_rounds(t):
    rounds = Rounds(t, messages=2000, publishers=4, seed=1, say=t.log)
    rounds.prepare()
    for _ in range(5):
        rounds.run()
    rounds.finish()


@case("stele", timeout=300)
def one_publisher(t):
    rounds = Rounds(t, messages=500, publishers=1, seed=2, say=t.log)
    rounds.prepare()
    for _ in range(5):
        rounds.run()
    rounds.finish()
