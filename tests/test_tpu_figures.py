"""`benchmark_tpu.py`: what is read from programs, without the compiler for TPUs."""
# ruff: noqa: E402

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
sys.path.append(str(EXPERIMENTS))

import benchmark_tpu
from benchmarks import tpu

HLO = """
HloModule jit_program, input_output_alias={ {0}: (0, {}, may-alias) }

%fused (p: f32[8]) -> f32[8] {
  ROOT %add.1 = f32[8]{0} add(%p, %all-reduce.7), metadata={op_name="all-reduce(x)"}
}

ENTRY %main {
  %all-reduce.7 = (f32[8]{0:T(128)S(1)}, bf16[192,8]{0,1:T(8,128)}, /*index=2*/f32[]) \
all-reduce(%a, %b, %c), to_apply=%region
  %get-tuple-element.1 = f32[8]{0} get-tuple-element(%all-reduce.7), index=0
  %ar = f32[16]{0} all-reduce-start(%d), to_apply=%region
  %done = f32[16]{0} all-reduce-done(%ar)
  %ag = (f32[2,3]{1,0}, f32[16,3]{1,0}) all-gather-start(%e), dimensions={0}
  %agd = f32[16,3]{1,0} all-gather-done(%ag)
  %cp = (pred[5]{0}, pred[5]{0}, u32[], u32[]{:S(2)}) collective-permute-start(%f)
  %cpd = pred[5]{0} collective-permute-done(%cp)
  ROOT %a2a = s8[4,4]{1,0} all-to-all(%g), dimensions={0}
}
"""


def figures(**changed):
    base = tpu.Figures(
        flops=197e9,
        bytes_accessed=8.19e9,
        argument=3 * 2**30,
        output=2**30,
        temporary=5 * 2**30,
        alias=2**29,
        collectives=tpu.collectives(HLO),
        seconds=2.0,
        text=HLO,
    )
    return base._replace(**changed)


def test_collectives_are_counted_once_with_what_a_device_has_of_them():
    found = tpu.collectives(HLO)
    assert found == (
        ("all-reduce", (("f32", (8,)), ("bf16", (192, 8)), ("f32", ()))),
        ("all-reduce", (("f32", (16,)),)),
        ("all-gather", (("f32", (16, 3)),)),
        ("collective-permute", (("pred", (5,)),)),
        ("all-to-all", (("s8", (4, 4)),)),
    )
    assert found[0].elements == [8, 1536, 1]
    assert [c.bytes for c in found] == [8 * 4 + 1536 * 2 + 4, 64, 192, 5, 16]
    assert tpu.collectives("ENTRY %main { ROOT %a = f32[] add(%b, %c) }") == ()


def test_the_roofline_is_what_takes_longer():
    assert tpu.roofline(197e12, 0) == 1
    assert tpu.roofline(197e9, 819e9) == 1
    assert tpu.roofline(394e12, 819e9) == 2


def test_figures_as_plain_values():
    plain = figures().plain()
    assert plain["peak"] == 8.5 * 2**30 and plain["fits"]
    assert not figures(temporary=13 * 2**30).fits
    assert plain["roofline_seconds"] == pytest.approx(0.01)
    assert plain["collectives"] == {
        "all-reduce": 2,
        "all-gather": 1,
        "all-to-all": 1,
        "collective-permute": 1,
    }
    assert plain["collective_bytes"] == 3108 + 64 + 192 + 5 + 16
    assert json.loads(json.dumps(plain)) == plain


def test_the_table_has_a_row_for_each_program_and_each_refusal():
    of = {"model": "dcgan", "devices": 8, "batch": 1024}
    none = figures(collectives=(), temporary=2**40).plain()
    rows = [of | figures().plain(), of | none, of | {"error": "Ran out of memory."}]
    text = benchmark_tpu.table({"versions": {"libtpu": "1"}, "rows": rows})
    first, head, full, large, refused = text.splitlines()
    assert "libtpu 1" in first and "not run" in first
    told = "2 all-reduce, 1 all-gather, 1 all-to-all, 1 collective-permute"
    assert full.split()[-2:] == told.split()[-2:] and told in full
    assert "yes     10.0 ms" in full and full.index("2 all") == head.index("collect")
    assert " no " in large and large.endswith("none")
    assert refused.endswith("Ran out of memory.")


@pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is not None, reason="libtpu is installed"
)
def test_without_the_compiler_one_sentence_says_so():
    command = [sys.executable, EXPERIMENTS / "benchmark_tpu.py"]
    env = os.environ | {"PYTHONPATH": str(EXPERIMENTS.parent)}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 2 and done.stderr == f"{tpu.MISSING}\n"
