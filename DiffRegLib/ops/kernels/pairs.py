"""One load for two neighboring voxels."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


@intrinsic
def copy_pair(typing, target, to, source, at):
    """target[to : to + 2] = source[at : at + 2] of float32 arrays as one load and one store of 64 bits.

    The eight voxels of a cell are four such pairs. Without this, LLVM turns the loop over the rays of a block into
    gather instructions or into eight loads and stores, both about twice as slow.
    """

    def generate(context, builder, signature, arguments):
        def address(array, index):
            data = context.make_array(signature.args[array])(context, builder, arguments[array]).data
            return builder.bitcast(builder.gep(data, [arguments[index]]), ir.IntType(64).as_pointer())

        pair = builder.load(address(2, 3))
        pair.align = 4
        builder.store(pair, address(0, 1)).align = 4

    return types.void(target, types.uint64, source, types.uint64), generate
