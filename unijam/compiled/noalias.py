"""A compiler for loops over arrays that do not overlap, vectorised as suits the processor."""

import llvmlite.binding as llvm
from numba.core.compiler import Compiler, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import NativeLowering


class _LoadsOneByOne(Lower):
    """Lowers to functions whose vectors are filled by single loads, not by gather instructions."""

    def setup_function(self, fndesc):
        super().setup_function(fndesc)
        features = f"{self.library.codegen._tm_features},+prefer-no-gather"
        set.add(self.function.attributes, f'"target-features"="{features}"')  # llvmlite knows few by name


@register_pass(mutates_CFG=True, analysis_only=False)
class _LoweringOneByOne(NativeLowering):
    _name = "native_lowering_one_by_one"
    lowering_class = _LoadsOneByOne


class DistinctArrays(Compiler):
    """Compiles for arguments that do not overlap; else LLVM must assume that they may, and not vectorise.

    AMD's gather instructions are slower than single loads (sweeps took 1.2 times as long); LLVM believes the
    contrary.
    """

    def define_pipelines(self):
        self.state.flags.noalias = True
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        if llvm.get_host_cpu_name().startswith("znver"):
            passes.passes = [
                (_LoweringOneByOne, what) if made is NativeLowering else (made, what)
                for made, what in passes.passes
            ]
        passes.finalize()
        return [passes]
