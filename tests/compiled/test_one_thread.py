"""BLAS uses one thread inside a block, and the threads it had before come back after it."""

import threading

from threadpoolctl import threadpool_info, threadpool_limits

from unijam.compiled.blas import one_thread


def threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_one_thread_inside_and_the_old_number_after():
    with threadpool_limits(2, user_api="blas"):
        before = threads()
        with one_thread():
            assert threads() == {1}
            with one_thread():
                assert threads() == {1}
            assert threads() == {1}
        assert threads() == before


def test_blocks_of_several_threads_that_overlap():
    first_inside, second_inside, done = threading.Event(), threading.Event(), threading.Event()

    def second():
        first_inside.wait()
        with one_thread():
            second_inside.set()
            done.wait()

    other = threading.Thread(target=second)
    with threadpool_limits(2, user_api="blas"):
        before = threads()
        other.start()
        with one_thread():
            first_inside.set()
            second_inside.wait()
        done.set()
        other.join()
        assert threads() == before


def test_the_threads_come_back_after_an_error():
    with threadpool_limits(2, user_api="blas"):
        before = threads()
        try:
            with one_thread():
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass
        assert threads() == before
