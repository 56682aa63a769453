# cython: boundscheck=False, cdivision=True
# The compiled half of a network: it owns the parameters, meets arrays, predicts, and runs epochs.
#
# Core (its parts: Predictor, Trainer, and learning row by row in _online.pxi) is the base class of Network, so that
# `predict` from the caller to the kernels is one compiled call. Decided:
# what readers see (`published`) is a block that never changes once it is there, held by Python's reference count;
# training works on a block of its own and publishes a copy. So predicting needs no lock; an error in `fit`
# leaves whole epochs, Ctrl-C whole steps. Rejected: a read-write lock (a reader would wait for an epoch) and training
# in place (a reader would see half a step).
# What calls functions of the C core is one extension module, with which the core is linked: the core has state (its
# threads, what it has read once of the system) that must exist once in a process. What calls none of them has a module
# and a .pxd of its own: _rows, _custom, _blas. The parts of this module are included as text, because Cython makes a
# module of one .pyx. Rejected: the core's functions in a table of pointers for several modules, as each of them adds
# 0.25 ms to `import fastmlp` and 50 kB; and a _core.pxd, which no other module needs and in which each method of these
# classes would be declared once more.
# All arguments are checked before anything is written. Work of more than about 100 us releases the GIL; less keeps
# it, because taking it back beside a busy thread costs a switch interval.
# Other threads run wherever Python code runs: in a comparison of a user's objects, in a conversion, in a collection of
# garbage (which on CPython 3.11 any allocation of an object may start) and where the GIL is released. So: what runs
# Python comes first, into local variables; then state is looked at and changed without a call that could run any. Who
# writes for longer sets `fitting`, which others refuse, and holds the training in a local variable.
cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from cpython.float cimport PyFloat_AsDouble, PyFloat_CheckExact
from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_CheckExact
from cpython.number cimport PyNumber_Index
from cpython.pythread cimport PyThread_get_thread_ident
from cpython.ref cimport Py_INCREF, Py_REFCNT
from libc.math cimport INFINITY
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from ._blas cimport blas_engine
from ._csrc cimport *
from ._custom cimport CustomCall, custom_activation, new_call
from ._rows cimport *

import os
import threading
import weakref

import numpy as np

from .inputs import targets as checks
from .inputs.arrays import convert
from .inputs.labels import named
from .inputs.schema import EMPTY, to_inputs

cnp.import_array()
globals()["Rows"] = Rows  # for Python, which has no attribute for what is cimported
cdef type ndarray_type = np.ndarray, integer_type = np.integer, floating_type = np.floating
cdef int OUTPUT_FLAGS = (cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_F_CONTIGUOUS | cnp.NPY_ARRAY_OWNDATA
                         | cnp.NPY_ARRAY_ALIGNED | cnp.NPY_ARRAY_WRITEABLE)

cdef enum target_kind:  # of a row that learn_one has been given
    NOT_LOGGED, LABEL, NUMBER, VECTOR

cdef enum:
    MANY_MULTIPLY_ADDS = 1 << 20  # about 100 us of one core: from here on the GIL is released
    SCRATCH_HEAD = 64  # bytes before a workspace, for its capacity


# -- forks: what a child must know, which has of all threads only the one that forked --

cdef uint64_t n_forks = 0          # forks between the process that loaded this module and this one
cdef unsigned long forking_thread = 0  # which thread made the last of them

# None of them may register a function to call at forks: it would be called after this one without its part before it.
_LATE = ("fastmlp.encoder", "fastmlp.formats.upgrade", "hashlib", "json", "mmap", "numpy.ma")


def _before_fork():
    """Does the imports that this package does late, or waits for another thread that is doing them: a child of which
    that thread is no part would wait forever. Without other threads there is nothing to wait for."""
    if threading.active_count() > 1:
        for name in _LATE:
            __import__(name)


def _after_fork():
    global n_forks, forking_thread
    n_forks += 1
    forking_thread = PyThread_get_thread_ident()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)


include "_kernels.pxi"
include "_training.pxi"
include "_predictor.pxi"


cdef class Trainer(Predictor):
    """Parameters, predictions and epochs of one network."""

    cdef Training training   # the optimiser's state, or None before the first step
    cdef object chosen       # what None stands for when there is no training: the last optimiser
    cdef Training previous   # what `training` has replaced, until its first success
    cdef bint tentative      # `training` has published nothing yet: an error goes back to `previous`
    cdef bint unpublished    # train_on_batch or learn_one has moved the training's block on
    cdef bint mid_epoch      # a fit has, by an epoch that is neither published nor taken back
    cdef RowLog log          # the rows of learn_one since the last publication, or None before the first
    cdef uint64_t random_before  # where `training` is tentative: that from before it
    cdef object fitting      # what runs: a weak reference to a fit's token, the rows of a step, or None
    cdef uint64_t fitting_forks  # n_forks when that began, and its thread
    cdef unsigned long fitting_thread

    # -- parameters --------------------------------------------------------------------------------------------------

    def _published(self):
        """What readers see at this moment, also while a fit is running: P, the columns that go with it, the state of
        the generator."""
        cdef Block block = self._readable()
        cdef uint64_t random = self.random
        cdef cnp.ndarray P = self._empty(1, [self.net.n_parameters, 0])
        fml_network_unpack(&self.net, block.data, cnp.PyArray_DATA(P))
        return P, (block.columns.inputs, block.columns.targets, block.columns.schema), random

    def _replace_parameters(self, cnp.ndarray P not None):
        """What assigning parameters does; refused while a fit is running."""
        cdef Block block = self._packed(P)
        self._refuse_while_fitting("parameters")
        self._put_block(block)

    def _put_parameters(self, cnp.ndarray P not None):
        """Publishes P, checked and of the network's dtype, and forgets the optimiser's state."""
        self._put_block(self._packed(P))

    cdef Block _packed(self, cnp.ndarray P):
        """P in the engine's layout."""
        self._check_built()
        self._check_vector("parameters", P)
        cdef Block block = new_block(self.net.n_packed * self.net.kernels.real_size)
        fml_network_pack(&self.net, cnp.PyArray_DATA(P), block.data)
        return block

    cdef int _check_vector(self, str argument, cnp.ndarray P) except -1:
        if (P.size != <cnp.npy_intp>self.net.n_parameters or cnp.PyArray_TYPE(P) != self.typenum
                or not cnp.PyArray_ISCARRAY_RO(P)):
            raise ValueError(f"{argument}: expected {self.net.n_parameters} numbers, got {P.size} of dtype {P.dtype}")
        return 0

    cdef int _put_block(self, Block block) except -1:
        cdef Training before = self.training, _previous = self.previous  # which go when all is in place
        cdef object _chosen = self.chosen
        block.columns = self.columns
        self.published = block
        if before is not None:
            self.chosen = before.optimizer
        self.training = None
        self._forget_steps()
        self._commit()
        return 0

    @property
    def _published_columns(self):
        """Like `_columns`, of the parameters that readers see: without what a first fit has not published yet."""
        cdef Block block = self._readable()
        return block.columns.inputs, block.columns.targets, block.columns.schema

    def _know_columns(self, input_scaling, target_scaling, schema, bint publish):
        """Takes what has been checked: for the parameters that are there too, or for those alone that training will
        publish."""
        self._check_built()
        self.columns = Columns(input_scaling, target_scaling, schema)
        if publish:
            self.published.columns = self.columns

    cdef Block _readable(self):
        """The block that readers use; publishes the steps of train_on_batch if there are any."""
        self._check_built()
        if self.unpublished:
            self._publish_steps()
        return self.published

    cdef int _publish_steps(self) except -1:
        """Publishes what steps have learnt, unless somebody trains."""
        cdef Block now = self.published, spare = None
        if Py_REFCNT(now) > 2:  # somebody reads it
            spare = new_block(self.net.n_packed * self.net.kernels.real_size)
        now = None
        if self.unpublished and not self._is_fitting():
            self._publish(spare)
        return 0

    cdef int _publish(self, Block spare=None) except -1:
        """Copies what training has learnt to where readers, and errors, find it; `spare`: memory for it, if readers
        may hold what is published. Only who trains may go without."""
        cdef Training training = self.training, _previous = self.previous  # which go when all is in place
        cdef Block before = self.published
        if training is None:
            return 0
        if Py_REFCNT(before) > 2:  # by a variable's name: Cython would hold an attribute once more to count
            if spare is None:
                spare = new_block(training.size)
            self.published = spare
        self.published.columns = self.columns
        fml_trainer_publish(&training.trainer, &training.published, self.published.data)
        self._commit()
        self._forget_steps()
        return 0

    cdef void _forget_steps(self) noexcept:
        """What training has done since the last publication is published, or gone."""
        self.unpublished, self.mid_epoch = False, False
        if self.log is not None:
            self.log.n_rows = 0

    cdef void _commit(self) noexcept:
        """The training in use has succeeded; there is no way back to the one before."""
        self.tentative, self.previous = False, None

    cdef void _roll_back(self) noexcept:
        """Goes back to what was last published, and to the optimiser that published it."""
        cdef Training training = self.training  # which goes when all is in place
        cdef Columns _columns = self.columns
        self.columns = self.published.columns
        if self.tentative:
            self.training, self.random = self.previous, self.random_before
            self._commit()
        elif training is not None:
            fml_trainer_roll_back(&training.trainer, &training.published, self.published.data)
        self._forget_steps()

    # -- training ---------------------------------------------------------------------------------------------------

    def _refuse_while_fitting(self, str argument):
        if self._is_fitting():
            raise RuntimeError(f"{argument}: expected a network at rest, got one that a fit is running on")

    @property
    def _optimizer(self):
        """The optimiser that was used last, or None; its state may be gone."""
        return self.chosen if self.training is None else self.training.optimizer

    @property
    def _learning_rate(self):
        """The learning rate of the next step, a schedule's included; None before the first optimiser."""
        cdef Training training = self.training
        return None if training is None else training.next_rate()

    def _set_rate(self, double rate):
        """Has the optimiser, whose own learning rate is a number, go on with that one. The rows of the log were learnt
        with the one before: what they have made is published, so that they need not be learnt again."""
        self._check_built()
        if self._is_fitting() and not isinstance(self.fitting, weakref.ref):
            self._refuse_while_fitting("learning_rate")
        while self.unpublished and not self._is_fitting():  # another thread may learn while memory is found
            self._publish_steps()
        self._at_work().trainer.hyper_parameters[0] = rate

    @property
    def _n_evaluations(self):
        """How many gradients a whole-batch method has evaluated since it began; None for any other optimiser."""
        cdef Training training = self.training
        if training is None or training.method == NULL:
            return None
        return training.method.n_evaluations(training.trainer.method_state)

    @property
    def _converged(self):
        """Whether the optimiser has found a minimum of the loss over the rows of its last iteration."""
        cdef Training training = self.training
        return (training is not None and training.method != NULL
                and training.method.converged(training.trainer.method_state) != 0)

    def _observe(self, logs):
        """Tells a learning rate that follows from losses those of an epoch."""
        cdef Training training = self.training
        if training is not None and training.plateau is not None:
            training.plateau.observe(logs)
            training.trainer.hyper_parameters[0] = training.plateau.rate

    def _use_optimizer(self, optimizer, regularization):
        """Continues the optimiser if it is equal to the last one, or None, and so is the regularisation; else starts it
        anew, and an error before its first success brings back the one before. The caller has marked the network as
        being fitted."""
        self._check_built()
        cdef uint64_t random = self.random
        cdef Training now = self.training, training
        if (now is not None and (optimizer is None or optimizer == now.optimizer)
                and regularization == now.regularization):
            fml_trainer_data_changed(&now.trainer)
            return
        if self.unpublished:
            self._publish()
        if optimizer is None:
            optimizer = self._optimizer
        if optimizer is None:
            raise RuntimeError("optimizer: expected one, as the network has none to go on with, got None")
        training = Training(self, optimizer, regularization)
        if not self.tentative:
            self.previous, self.tentative, self.random_before = now, True, random
        self.training = training

    cdef Training _at_work(self):
        """The training in use."""
        if self.training is None:
            raise RuntimeError("optimizer: expected _use_optimizer before an epoch")
        return self.training

    cdef bint _is_fitting(self):
        """A fit whose token is gone is over, even where an exception has kept it from saying so; and one of a thread
        that this process does not have, because it is a fork, has gone nowhere since what it published."""
        if self.fitting is None:
            return False
        if isinstance(self.fitting, weakref.ref) and self.fitting() is None:
            self._stop_fitting()
        elif self.fitting_forks != n_forks:
            self.fitting_forks = n_forks
            if self.fitting_thread != forking_thread:
                self._abandon()
        return self.fitting is not None

    cdef void _abandon(self) noexcept:
        """Ends what a thread was doing that has vanished in the middle of it."""
        cdef Training training
        self._roll_back()
        training = self.training
        if training is not None:
            fml_trainer_abandon(&training.trainer, &self.net)
        self._stop_fitting()

    cdef void _start_fitting(self, what) noexcept:
        """Marks the network: others' changes are refused until `_stop_fitting`."""
        self.fitting, self.fitting_forks, self.fitting_thread = what, n_forks, PyThread_get_thread_ident()

    cdef void _stop_fitting(self) noexcept:
        self.fitting = None
        if self.tentative or self.mid_epoch:
            self._roll_back()
        self.columns = self.published.columns

    def _begin_fit(self, token):
        """Marks the network as being fitted; whoever calls this calls `_end_fit` with the same token, come what may."""
        self._check_built()
        reference = weakref.ref(token)
        self._refuse_while_fitting("fit")
        self._start_fitting(reference)
        if self.unpublished:
            self._publish()

    def _end_fit(self, token):
        """Ends the fit of that token, if it is the one that is running."""
        if isinstance(self.fitting, weakref.ref) and self.fitting() is token:
            self._stop_fitting()

    def _begin_epoch(self, Rows rows not None, order):
        """Draws the order of the rows into `order`, an array of uint32 or a BlockOrder, unless that is None. What the
        epoch learns is taken back when the fit ends, unless `_publish_epoch_so_far` has been called."""
        self._check_rows(rows)
        cdef size_t n = rows.data.n_rows
        cdef uint32_t *drawn = order_of(order, n)
        cdef Training training = self._at_work()
        training.trainer.random, self.mid_epoch = self.random, True
        if order is None:
            return
        if type(order) is BlockOrder:
            (<BlockOrder>order).draw(&training.trainer.random)
        elif n < MANY_MULTIPLY_ADDS // 16:
            fml_random_order(&training.trainer.random, drawn, n)
        else:
            with nogil:
                fml_random_order(&training.trainer.random, drawn, n)

    def _stretch(self, Rows rows not None, size_t batch_size, order, size_t first, size_t end, double loss,
                 double seconds, bint more=False):
        """The batches of an epoch that begin at row `first` or later and before `end`, or those of them that begin
        within so many seconds: (the row that is next, the loss and the new losses summed by weight). Publishes at the
        end of the rows, unless the epoch has more than these."""
        self._check_rows(rows)
        cdef Training training = self._at_work()
        rows.scale(self.columns)
        if not self.mid_epoch or batch_size < 1 or end > rows.data.n_rows or first > end:
            raise ValueError(f"end: expected a stretch of an epoch of {rows.data.n_rows} rows, got {first} to {end}")
        cdef Watch watch = Watch()
        watch.deadline = fml_seconds() + seconds
        cdef BlockOrder blocks = order if type(order) is BlockOrder else None
        cdef uint32_t *drawn = order_of(order, rows.data.n_rows)
        if blocks is not None and (not blocks.drawn or blocks.batch_size < batch_size):
            raise ValueError(f"order: expected one that _begin_epoch has drawn for batches of {batch_size}")
        cdef CustomCall call = self._custom_call(watch.caught)
        cdef fml_poll poll = self._poll(watch)
        cdef fml_trainer *trainer = &training.trainer
        cdef fml_status status
        cdef size_t most_rows = min(batch_size, rows.data.n_rows)
        if training.by_function:
            training.plan((end - first + batch_size - 1) // batch_size)
        cdef void *workspace = self._take_scratch(fml_training_workspace(trainer, most_rows))
        trainer.net = self._network(call)
        if blocks is not None:
            with nogil:
                status = fml_train_blocks(trainer, &rows.data, batch_size, &blocks.order, blocks.advise, &first, end,
                                          &loss, &poll, workspace)
        elif (end - first) * self.n_weights < self.small // 4:
            status = fml_train_rows(trainer, &rows.data, batch_size, drawn, &first, end, &loss, &poll, workspace)
        else:
            with nogil:
                status = fml_train_rows(trainer, &rows.data, batch_size, drawn, &first, end, &loss, &poll, workspace)
        trainer.net = &self.net
        self._give_scratch(workspace)
        if status == FML_STOPPED and watch.late:
            status = FML_OK
        if status not in (FML_OK, FML_STOPPED) or (call is not None and call.failed()):
            self._roll_back()
        elif self._trained_not_finite(training):
            status = FML_LOSS_NOT_FINITE if status == FML_OK else FML_STOPPED
            self._roll_back()
        elif status == FML_STOPPED or (first >= rows.data.n_rows and not more):
            self._publish_epoch_so_far()
        self._raise(status, rows, watch)
        return first, loss

    def _publish_epoch_so_far(self):
        """Publishes what the epoch has learnt so far."""
        cdef Training training = self.training
        if self.mid_epoch and training is not None:
            self.random = training.trainer.random
            self._publish()

    def _training_state(self):
        """What `_resume_training` takes, as training has it: the optimiser, the regularisation, P, the optimiser's
        vectors by name, in the order of P, its numbers by name, that of its steps, the state of the generator. Where an
        average is kept, that is P, and a vector has what it is of."""
        self._check_built()
        cdef Training training = self.training
        if training is None:
            raise RuntimeError("training_state: the network has no optimizer at work yet; fit, train_on_batch or "
                               "learn_one begins one")
        cdef uint64_t random = self.random
        cdef list names = training.vector_names()
        cdef cnp.ndarray P = self._empty(1, [self.net.n_parameters, 0]), vector
        fml_network_unpack(&self.net, fml_trainer_visible(&training.trainer), cnp.PyArray_DATA(P))
        cdef dict vectors = {}
        for k, name in enumerate(names):
            vector = self._empty(1, [self.net.n_parameters, 0])
            fml_network_unpack(&self.net, fml_trainer_vector(&training.trainer, k), cnp.PyArray_DATA(vector))
            vectors[name] = vector
        numbers = training.numbers()
        return training.optimizer, training.regularization, P, vectors, numbers, training.trainer.n_steps, random

    def _resume_training(self, optimizer, regularization, cnp.ndarray P not None, dict vectors not None,
                         dict numbers not None, uint64_t n_steps, uint64_t random):
        """Goes on from what `_training_state` gave and from that state of the generator; the caller has marked the
        network as being fitted. Vectors that are not there are 0."""
        cdef uint64_t before = self.random
        cdef Training training = Training(self, optimizer, regularization)
        cdef cnp.ndarray vector
        self.random = before  # a new key is not needed
        training.remember(vectors, numbers)
        for k, name in enumerate(training.vector_names()):
            if name in vectors:
                vector = vectors[name]
                self._check_vector(name, vector)
                fml_network_pack(&self.net, cnp.PyArray_DATA(vector), fml_trainer_vector(&training.trainer, k))
        self._put_parameters(P)
        memcpy(fml_trainer_visible(&training.trainer), self.published.data, training.size)
        training.trainer.n_steps, self.training, self.random = n_steps, training, random
        self._publish()

    def _restore_training(self, *state):
        """`_resume_training` with these arguments, of a network that no fit is running on."""
        self._check_built()
        self._refuse_while_fitting("restore_training")
        self._start_fitting(state)
        try:
            self._resume_training(*state)
        finally:
            self._stop_fitting()

    def _step(self, Rows rows not None, optimizer, regularization):
        """One optimiser step on all rows; returns their mean loss before it. What it learns is published when read."""
        cdef fml_status status
        cdef double loss = 0
        cdef Watch watch = Watch()
        self._check_rows(rows)
        self._refuse_while_fitting("train_on_batch")
        rows.scale(self.columns)
        self._start_fitting(rows)
        try:
            self._use_optimizer(optimizer, regularization)
            status = self._try_step(rows, &loss, watch)
        finally:
            self._stop_fitting()
        self._raise(status, rows, watch)
        return loss / rows.total_weight

    cdef fml_status _try_step(self, Rows rows, double *loss, Watch watch) except *:
        cdef fml_status status
        cdef CustomCall call = self._custom_call(watch.caught)
        cdef fml_poll poll
        cdef fml_poll *poll_at = NULL  # a step hears no signals
        if call is not None:
            poll = self._poll(watch)
            poll_at = &poll
        cdef Training training = self._at_work()
        cdef fml_trainer *trainer = &training.trainer
        cdef size_t n_rows = rows.data.n_rows
        if training.by_function:
            training.plan(1)
        cdef void *workspace = self._take_scratch(fml_training_workspace(trainer, n_rows))
        if self.unpublished:  # for who reads beside this step, and to go back to if it overflows
            self._publish()
        trainer.net = self._network(call)
        if n_rows * self.n_weights < self.small // 4:
            status = fml_train_step(trainer, &rows.data, NULL, n_rows, 0, loss, poll_at, workspace)
        else:
            with nogil:
                status = fml_train_step(trainer, &rows.data, NULL, n_rows, 0, loss, poll_at, workspace)
        trainer.net = &self.net
        self._give_scratch(workspace)
        if status == FML_OK and self._trained_not_finite(training):
            self._roll_back()
            return FML_LOSS_NOT_FINITE
        if status == FML_OK:
            self.unpublished = True
            self._commit()
        return status

    cdef bint _trained_not_finite(self, Training training):
        """Whether a number that training has made since the last call, a parameter or one of the optimiser's state, is
        not finite: a state that overflows would have a parameter stand still without a word."""
        if not training.trainer.suspect:
            return False
        training.trainer.suspect = False
        if self._has_not_finite(training.trainer.block):
            return True
        for k in range(training.trainer.optimizer.n_states):
            if self._has_not_finite(training.trainer.states[k]):
                return True
        return False

    cdef bint _has_not_finite(self, const void *block):
        cdef size_t i
        if self.net.n_packed < MANY_MULTIPLY_ADDS:
            return self.net.kernels.first_not_finite(block, self.net.n_packed) < self.net.n_packed
        with nogil:
            i = self.net.kernels.first_not_finite(block, self.net.n_packed)
        return i < self.net.n_packed

    @property
    def _random_state(self):
        """The state of the generator, 64 bits."""
        return self.random


include "_online.pxi"
