"""A compiler for loops over arrays that do not overlap; its vector code suits the processor."""

from typing import Any

import llvmlite.binding as llvm
from numba.core import config
from numba.core.compiler import Compiler, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import NativeLowering

_config: Any = config  # its attributes are made when it is read


def _gathers_slowly(processor: str, features: str) -> bool:
    """Whether code for this processor has gather instructions that cost more than the single loads they replace.

    Such instructions exist from AVX2 on, and are slow on AMD's Zen processors ("znver…"). For any other processor, and
    for an empty list of features (generic code, `NUMBA_CPU_FEATURES` empty), LLVM decides.
    """
    return processor.startswith("znver") and "+avx2" in features.split(",")


class _LoadsOneByOne(Lower):
    """Translates to LLVM functions whose vectors are filled by single loads, not by gather instructions."""

    def setup_function(self, fndesc: Any) -> None:
        super().setup_function(fndesc)  # type: ignore[no-untyped-call]  # numba's
        # This attribute replaces the features of the module, so it repeats them. LLVM refuses an empty item.
        features = ",".join(filter(None, (self.library.codegen._tm_features, "+prefer-no-gather")))
        # `set.add`, because llvmlite's own `add` refuses attributes that it does not know
        set.add(self.function.attributes, f'"target-features"="{features}"')


@register_pass(mutates_CFG=True, analysis_only=False)
class _LoweringOneByOne(NativeLowering):
    _name = "native_lowering_one_by_one"
    lowering_class = _LoadsOneByOne


class DistinctArrays(Compiler):
    """A numba compiler for functions whose arrays do not overlap. LLVM may then vectorise loops over them.

    On AMD's processors gather instructions are slower than single loads (sweeps over neighbours took 1.2 times as
    long), while LLVM expects them to be faster; there it is told not to use them.
    """

    def define_pipelines(self) -> list[Any]:
        self.state.flags.noalias = True
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        features = self.state.targetctx.codegen()._tm_features
        if _gathers_slowly(_config.CPU_NAME or llvm.get_host_cpu_name(), features):
            passes.passes = [
                (_LoweringOneByOne, what) if made is NativeLowering else (made, what)
                for made, what in passes.passes
            ]
        passes.finalize()
        return [passes]
