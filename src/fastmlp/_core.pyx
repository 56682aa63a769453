# cython: boundscheck=False, cdivision=True
# The compiled base class of a network: it owns the parameters, converts arrays, predicts, and trains steps and epochs.
#
# The base class of Model is Core (_online.pxi: learn_one), which derives from Trainer (this file), which derives from
# Predictor (_predictor.pxi). `predict` is thus one compiled call from the user to the kernels.
#
# Predictions read the published parameters, a Block that never changes while a reader holds a reference to it; training
# changes a block of its own and publishes a copy. So predictions need no lock, and after an error in `fit` the network
# has the last complete epoch, after Ctrl-C the last complete step. Rejected: a read-write lock (a reader would wait for
# an epoch) and training in place (a reader would see half of a step).
#
# All code that calls functions of the C core is in this one extension module, which is linked with the core: the core
# has state (its threads, values read once from the system) that must exist only once in a process. Code that calls none
# of these functions has modules of its own with a .pxd: _rows, _custom, _blas. The other parts of this module are
# included as text, because Cython makes a module of a single .pyx. Rejected: several modules that call the core through
# a table of pointers, as each module adds 0.25 ms to `import fastmlp` and 50 kB; and a _core.pxd, which no other module
# needs and which would repeat the declaration of each method.
#
# All arguments are checked before anything is written. Work of more than about 100 us releases the GIL; shorter work
# keeps it, because taking it back while another thread is busy costs a switch interval.
#
# Other threads run wherever Python code runs: in a comparison of a user's objects, in a conversion, in a garbage
# collection (which on CPython 3.11 any allocation of an object may start), and where the GIL is released. Methods
# therefore first do all that may run Python code and keep the results in local variables; after that they read and
# change the network's state without a call that could run Python code. A method that changes the state for longer sets
# `fitting`, so that other threads that want to change it get an error, and holds the Training in a local variable.
cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from cpython.float cimport PyFloat_AsDouble, PyFloat_CheckExact
from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_CheckExact
from cpython.number cimport PyNumber_Index
from cpython.pythread cimport PyThread_get_thread_ident
from cpython.ref cimport Py_INCREF, Py_REFCNT
from libc.math cimport INFINITY
from libc.stdint cimport SIZE_MAX, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from ._blas cimport blas_engine
from ._csrc cimport *
from ._custom cimport CustomCall, custom_activation, new_call
from ._rows cimport *

import os
import sys
import weakref

import numpy as np

from .inputs import targets as checks
from .inputs.arrays import convert
from .inputs.labels import named
from .inputs.schema import EMPTY, to_inputs

cnp.import_array()
globals()["Rows"] = Rows  # a cimported name is no attribute of the module in Python
cdef type ndarray_type = np.ndarray, integer_type = np.integer, floating_type = np.floating
cdef int OUTPUT_FLAGS = (cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_F_CONTIGUOUS | cnp.NPY_ARRAY_OWNDATA
                         | cnp.NPY_ARRAY_ALIGNED | cnp.NPY_ARRAY_WRITEABLE)

cdef enum target_kind:  # the kinds of targets that learn_one can log; NOT_LOGGED is any other kind
    NOT_LOGGED, LABEL, NUMBER, VECTOR

cdef enum:
    MAX_EPOCHS = 1 << 16  # of one call of _epochs
    MANY_MULTIPLY_ADDS = 1 << 20  # about 100 us of one core: work of this size or more releases the GIL
    WORKSPACE_HEADER = 64  # bytes before a workspace, where its capacity is stored


include "_forks.pxi"
include "_kernels.pxi"
include "_training.pxi"
include "_predictor.pxi"


cdef class Trainer(Predictor):
    """Parameters, predictions, training steps and epochs of one network."""

    cdef Training training   # the optimiser in use with its state; None before the first step
    cdef object last_optimizer   # while `training` is None: the optimiser used last, which the argument None names
    cdef Training previous   # the training that `training` has replaced, until the first success of `training`
    cdef bint tentative      # `training` has published nothing yet: an error restores `previous`
    cdef bint unpublished    # train_on_batch or learn_one has changed training's block since the last publication
    cdef bint mid_epoch      # a fit has changed it, within an epoch that is neither published nor rolled back
    cdef bint order_is_due   # that epoch's order, an array, is still to be drawn
    cdef RowLog row_log      # the rows of learn_one since the last publication; None before the first one
    cdef uint64_t random_before  # while `training` is tentative: the state of the generator before it
    cdef object fitting      # what is changing the network: a weak reference to a fit's token, a step's rows, or None
    cdef uint64_t fitting_forks  # the value of n_forks when `fitting` was set
    cdef unsigned long fitting_thread  # the thread that set it

    # -- parameters --------------------------------------------------------------------------------------------------

    def _published(self):
        """Return what was published last, also while a fit is running: the parameter vector P, the scalings and the
        schema that belong to it, and the state of the generator."""
        cdef Block block = self._readable()
        cdef uint64_t random = self.random
        cdef cnp.ndarray P = self._empty(1, [self.net.n_parameters, 0])
        fml_network_unpack(&self.net, block.data, cnp.PyArray_DATA(P))
        return P, (block.columns.inputs, block.columns.targets, block.columns.schema), random

    def _replace_parameters(self, cnp.ndarray P not None):
        """Set the parameters to P, as an assignment to `parameters` does; an error while a fit is running."""
        cdef Block block = self._packed(P)
        self._refuse_while_fitting("parameters")
        self._replace_published(block)

    def _publish_parameters(self, cnp.ndarray P not None):
        """Publish P, a checked vector of the network's dtype, and drop the optimiser's state."""
        self._replace_published(self._packed(P))

    cdef Block _packed(self, cnp.ndarray P):
        """Return a new block with the parameters P in the engine's layout."""
        self._check_built()
        self._check_vector("parameters", P)
        cdef Block block = new_block(self.net.n_packed * self.net.kernels.real_size)
        fml_network_pack(&self.net, cnp.PyArray_DATA(P), block.data)
        return block

    cdef int _check_vector(self, str argument, cnp.ndarray P) except -1:
        """Raise a ValueError unless P is a contiguous vector of n_parameters numbers of the network's dtype."""
        if (P.size != <cnp.npy_intp>self.net.n_parameters or cnp.PyArray_TYPE(P) != self.typenum
                or not cnp.PyArray_ISCARRAY_RO(P)):
            raise ValueError(f"{argument}: expected {self.net.n_parameters} numbers, got {P.size} of dtype {P.dtype}")
        return 0

    cdef int _replace_published(self, Block block) except -1:
        """Publish that block and drop the optimiser's state, so that the next training starts it anew."""
        cdef Training before = self.training, _previous = self.previous  # are released when the new state is complete
        cdef object _last_optimizer = self.last_optimizer
        block.columns = self.columns
        self.published = block
        if before is not None:
            self.last_optimizer = before.optimizer
        self.training = None
        self._forget_steps()
        self._commit()
        return 0

    @property
    def _published_columns(self):
        """The scalings and the schema that belong to the published parameters, unlike `_columns`, which already has
        what a running fit has determined but not published."""
        cdef Block block = self._readable()
        return block.columns.inputs, block.columns.targets, block.columns.schema

    def _set_columns(self, input_scaling, target_scaling, schema, bint publish):
        """Set the scalings and the schema, which the caller has checked, for the parameters that training will publish
        and, if `publish`, for the published parameters, too."""
        self._check_built()
        self.columns = Columns(input_scaling, target_scaling, schema)
        if publish:
            self.published.columns = self.columns

    cdef Block _readable(self):
        """Return the published block, after publishing the steps of train_on_batch and learn_one since the last one."""
        self._check_built()
        if self.unpublished:
            self._publish_steps()
        return self.published

    cdef int _publish_steps(self) except -1:
        """Publish the steps of train_on_batch and learn_one, unless a fit or a step is running."""
        cdef Block now = self.published, spare = None
        if Py_REFCNT(now) > 2:  # a reader holds it
            spare = new_block(self.net.n_packed * self.net.kernels.real_size)
        now = None
        if self.unpublished and not self._is_fitting():
            self._publish(spare)
        return 0

    cdef int _publish(self, Block spare=None) except -1:
        """Copy parameters and state of the training to the published ones, which predictions read and an error
        restores. `spare` is a new block for it, which is used if a reader holds the published block. Without one, it
        is allocated here, which may run Python code: only the thread that is training may do that."""
        cdef Training training = self.training, _previous = self.previous  # are released when all is in place
        cdef Block before = self.published
        if training is None:
            return 0
        if Py_REFCNT(before) > 2:  # of the variable: for an attribute, Cython would add a reference to count
            if spare is None:
                spare = new_block(training.size)
            self.published = spare
        self.published.columns = self.columns
        fml_trainer_publish(&training.trainer, &training.published, self.published.data)
        self._commit()
        self._forget_steps()
        return 0

    cdef void _forget_steps(self) noexcept:
        """Record that no step is unpublished: all steps have been published or rolled back."""
        self.unpublished, self.mid_epoch = False, False
        if self.row_log is not None:
            self.row_log.n_rows = 0

    cdef void _commit(self) noexcept:
        """Record that the training in use has succeeded, and release the one that it has replaced."""
        self.tentative, self.previous = False, None

    cdef void _roll_back(self) noexcept:
        """Restore the last published state, and the optimiser that published it."""
        cdef Training training = self.training  # is released when all is in place, like _columns
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
        """Raise a RuntimeError, which names that argument or method, while a fit or a step is running."""
        if self._is_fitting():
            raise RuntimeError(f"{argument}: expected a network at rest, got one that a fit is running on")

    @property
    def _optimizer(self):
        """The optimiser that was used last, or None; its state may have been dropped."""
        return self.last_optimizer if self.training is None else self.training.optimizer

    @property
    def _learning_rate(self):
        """The learning rate of the next step, also where a schedule determines it; None before the first step."""
        cdef Training training = self.training
        return None if training is None else training.next_rate()

    def _set_learning_rate(self, double rate):
        """Set the learning rate of the next steps, for an optimiser without a schedule. Steps on rows of the log used
        the old rate: they are published first, as repeating them with the new rate would give other parameters."""
        self._check_built()
        if self._is_fitting() and not isinstance(self.fitting, weakref.ref):
            self._refuse_while_fitting("learning_rate")
        while self.unpublished and not self._is_fitting():  # another thread may train during an allocation
            self._publish_steps()
        cdef Training training = self.training
        if training is None:
            raise RuntimeError("learning_rate: expected a network with an optimizer at work, got one without")
        training.trainer.hyper_parameters[0] = rate

    @property
    def _n_evaluations(self):
        """The number of gradients that a whole-batch method has evaluated since it began; None for other optimisers."""
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
        """Pass the logs of an epoch to a schedule that derives the learning rate from losses, if there is one."""
        cdef Training training = self.training
        if training is not None and training.plateau is not None:
            training.plateau.observe(logs)
            training.trainer.hyper_parameters[0] = training.plateau.rate

    def _use_optimizer(self, optimizer, regularization):
        """Continue the current optimiser if `optimizer` equals it, or is None, and the regularisation is unchanged.
        Otherwise start the optimiser anew; an error before its first success restores the one before. The caller has
        marked the network as being fitted."""
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

    cdef Training _current_training(self):
        """Return the training in use, with the memory that steps need; a RuntimeError if there is none."""
        cdef Training training = self.training
        if training is None:
            raise RuntimeError("optimizer: expected _use_optimizer before an epoch")
        if not fml_trainer_regain(&training.trainer, &training.published, self.published.data):
            raise MemoryError(f"sizes: no memory to train {self.net.n_parameters} parameters")
        return training

    def _release_memory(self):
        """Free the spare workspace and, unless something is training or has steps to publish, the memory that steps
        work in. What the network knows is kept; the next call that needs memory allocates it again."""
        cdef Training training = self.training
        self._release_workspace()
        if training is not None and not (self.unpublished or self.tentative or self.mid_epoch or self._is_fitting()):
            fml_trainer_release(&training.trainer)

    cdef bint _is_fitting(self):
        """Return whether a fit or a step is running. A fit whose token no longer exists has ended, even if an exception
        has kept it from calling `_end_fit`. After a fork, the fit of a thread that does not exist in this process
        has ended, too, and the network has what that fit published last."""
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
        """Roll back and end a fit or a step whose thread does not exist in this process."""
        cdef Training training
        self._roll_back()
        training = self.training
        if training is not None:
            fml_trainer_abandon(&training.trainer, &self.net)
        self._stop_fitting()

    cdef void _start_fitting(self, what) noexcept:
        """Mark the network as being changed by `what`; other changes are an error until `_stop_fitting`."""
        self.fitting, self.fitting_forks, self.fitting_thread = what, n_forks, PyThread_get_thread_ident()

    cdef void _stop_fitting(self) noexcept:
        """Remove the mark, and roll back what neither was published nor is complete."""
        self.fitting = None
        if self.tentative or self.mid_epoch:
            self._roll_back()
        self.columns = self.published.columns

    def _begin_fit(self, token):
        """Mark the network as being fitted. The caller has to call `_end_fit` with the same token in any case."""
        self._check_built()
        reference = weakref.ref(token)
        self._refuse_while_fitting("fit")
        self._start_fitting(reference)
        if self.unpublished:
            self._publish()

    def _end_fit(self, token):
        """End the fit of that token, if that fit is the one that is running."""
        if isinstance(self.fitting, weakref.ref) and self.fitting() is token:
            self._stop_fitting()

    def _begin_epoch(self, Rows rows not None, order):
        """Begin an epoch, and draw its order into `order`, a BlockOrder or an array of uint32, which the first
        `_stretch` fills, as it may not need the GIL; None leaves the rows in their order. When the fit ends, steps of
        the epoch that have not been published are rolled back."""
        self._check_rows(rows)
        cdef uint32_t *drawn = order_pointer(order, rows.data.n_rows)
        cdef Training training = self._current_training()
        check_stop_flag()
        training.trainer.random, self.mid_epoch, self.order_is_due = self.random, True, drawn != NULL
        if type(order) is BlockOrder:
            (<BlockOrder>order).draw(&training.trainer.random)

    def _stretch(self, Rows rows not None, size_t batch_size, order, size_t first, size_t end, double loss,
                 double seconds, bint more=False):
        """Train on the batches of an epoch from row `first` until row `end`, or until that many seconds have passed.

        Return the index of the next row, and `loss` plus the sum of the weighted losses of the batches. Publish after
        the last one of the rows, unless the epoch has more rows than these."""
        self._check_rows(rows)
        cdef Training training = self._current_training()
        rows.scale(self.columns)
        if not self.mid_epoch or batch_size < 1 or end > rows.data.n_rows or first > end:
            raise ValueError(f"end: expected a stretch of an epoch of {rows.data.n_rows} rows, got {first} to {end}")
        check_stop_flag()
        cdef PollState poll_state = PollState()
        poll_state.deadline = fml_seconds() + seconds
        cdef BlockOrder blocks = order if type(order) is BlockOrder else None
        cdef uint32_t *drawn = order_pointer(order, rows.data.n_rows)
        if blocks is not None and (not blocks.drawn or blocks.batch_size < batch_size):
            raise ValueError(f"order: expected one that _begin_epoch has drawn for batches of {batch_size}")
        cdef CustomCall call = self._custom_call(poll_state.errors)
        cdef fml_poll poll = self._poll(poll_state)
        cdef fml_trainer *trainer = &training.trainer
        cdef fml_status status
        cdef size_t max_rows = min(batch_size, rows.data.n_rows), work = (end - first) * self.n_weights
        if training.rate_by_function:
            training.compute_rates((end - first + batch_size - 1) // batch_size)
        cdef void *workspace = self._take_workspace(fml_training_workspace(trainer, max_rows))
        trainer.net = self._network(call)
        cdef bint draws = self.order_is_due and drawn != NULL
        self.order_is_due = False
        if draws:
            work += 4 * rows.data.n_rows
        if blocks is not None:
            with nogil:
                status = fml_train_blocks(trainer, &rows.data, batch_size, &blocks.order, blocks.advise, &first, end,
                                          &loss, &poll, workspace)
        elif work < self.gil_work_limit // 4:
            status = train_rows(trainer, &rows.data, batch_size, draws, drawn, &first, end, &loss, &poll, workspace)
        else:
            with nogil:
                status = train_rows(trainer, &rows.data, batch_size, draws, drawn, &first, end, &loss, &poll, workspace)
        trainer.net = &self.net
        self._return_workspace(workspace)
        if status == FML_STOPPED and poll_state.deadline_passed:
            status = FML_OK
        if status not in (FML_OK, FML_STOPPED) or (call is not None and call.failed()):
            self._roll_back()
        elif self._trained_not_finite(training):
            status = FML_LOSS_NOT_FINITE if status == FML_OK else FML_STOPPED
            self._roll_back()
        elif status == FML_STOPPED or (first >= rows.data.n_rows and not more):
            self._publish_epoch_so_far()
        self._raise_status(status, rows, poll_state)
        return first, loss

    @property
    def _repeats_epochs(self):
        """Whether `_epochs` can train: what is published can be trained on again from, with the same bits, and nothing
        has to happen between two epochs."""
        cdef Training training = self.training
        return (training is not None and not self.tentative and not self.custom and training.can_repeat()
                and training.plateau is None)

    def _epochs(self, Rows rows not None, size_t batch_size, order, size_t n_epochs):
        """Train n_epochs whole epochs in one call, and publish after the last one. `order` is that of
        `_begin_epoch`, but no BlockOrder.

        Return a list with the sum of the weighted losses of each complete epoch, and None or the exception of a signal
        handler, before which the complete steps are published. If something else goes wrong, the list is empty and
        nothing has changed: the epochs can be trained one by one, up to the one with the error."""
        self._check_rows(rows)
        cdef Training training = self._current_training()
        cdef size_t n = rows.data.n_rows, done = 0
        cdef uint32_t *drawn = order_pointer(order, n)
        if not self._repeats_epochs or type(order) is BlockOrder or batch_size < 1 or not 1 <= n_epochs <= MAX_EPOCHS:
            raise ValueError(f"n_epochs: expected epochs that can be trained together, got {n_epochs}")
        check_stop_flag()
        cdef cnp.ndarray losses = np.zeros(n_epochs)
        cdef double *loss = <double *>cnp.PyArray_DATA(losses)
        cdef PollState poll_state = PollState()
        cdef fml_poll poll = self._poll(poll_state)
        cdef fml_trainer *trainer = &training.trainer
        cdef fml_status status
        cdef bint finite = True
        cdef void *workspace = self._take_workspace(fml_training_workspace(trainer, min(batch_size, n)))
        rows.scale(self.columns)
        trainer.random, self.mid_epoch = self.random, True
        if n_epochs * n * self.n_weights < self.gil_work_limit // 4:
            status = train_epochs(trainer, &rows.data, batch_size, drawn, n_epochs, &done, &finite, loss, &poll,
                                  workspace)
        else:
            with nogil:
                status = train_epochs(trainer, &rows.data, batch_size, drawn, n_epochs, &done, &finite, loss, &poll,
                                      workspace)
        self._return_workspace(workspace)
        if not finite or status not in (FML_OK, FML_STOPPED):
            self._roll_back()
            return [], poll_state.errors[0] if status == FML_STOPPED else None
        self._publish_epoch_so_far()
        return losses[:done].tolist(), poll_state.errors[0] if status == FML_STOPPED else None

    def _publish_epoch_so_far(self):
        """Publish the parameters after the steps that the epoch has taken so far."""
        cdef Training training = self.training
        if self.mid_epoch and training is not None:
            self.random = training.trainer.random
            self._publish()

    def _training_state(self):
        """Return the arguments with which `_resume_training` continues this training: the optimiser, the
        regularisation, P, the optimiser's vectors by name (in the order of P), its numbers by name, the number of its
        steps, and the state of the generator. If averaged parameters are kept, P is the average, and the parameters
        that training continues with are one of the vectors."""
        self._check_built()
        if self.training is None:
            raise RuntimeError("training_state: the network has no optimizer at work yet; fit, train_on_batch or "
                               "learn_one begins one")
        cdef Training training = self.training
        cdef uint64_t random = self.random
        cdef list names = training.vector_names()
        cdef list arrays = [self._empty(1, [self.net.n_parameters, 0]) for _ in range(len(names) + 1)]
        numbers = training.numbers()
        # Python code has run, in which another thread may have trained.
        if self.training is not training or fml_trainer_n_vectors(&training.trainer) != <size_t>len(names):
            return self._training_state()
        self._current_training()
        cdef cnp.ndarray P = arrays.pop(), vector  # from here on, no Python code runs
        fml_network_unpack(&self.net, fml_trainer_visible(&training.trainer), cnp.PyArray_DATA(P))
        for k in range(len(arrays)):
            vector = arrays[k]
            fml_network_unpack(&self.net, fml_trainer_vector(&training.trainer, k), cnp.PyArray_DATA(vector))
        vectors = dict(zip(names, arrays))
        return training.optimizer, training.regularization, P, vectors, numbers, training.trainer.n_steps, random

    def _resume_training(self, optimizer, regularization, cnp.ndarray P not None, dict vectors not None,
                         dict numbers not None, uint64_t n_steps, uint64_t random):
        """Continue from a state that `_training_state` has returned. Vectors that are missing in it are 0. The caller
        has marked the network as being fitted."""
        cdef uint64_t before = self.random
        cdef Training training = Training(self, optimizer, regularization)
        cdef cnp.ndarray vector
        self.random = before  # the key that the new Training drew is replaced by that of the state
        training.restore_state(vectors, numbers)
        for k, name in enumerate(training.vector_names()):
            if name in vectors:
                vector = vectors[name]
                self._check_vector(name, vector)
                fml_network_pack(&self.net, cnp.PyArray_DATA(vector), fml_trainer_vector(&training.trainer, k))
        self._publish_parameters(P)
        memcpy(fml_trainer_visible(&training.trainer), self.published.data, training.size)
        training.trainer.n_steps, self.training, self.random = n_steps, training, random
        self._publish()

    def _restore_training(self, *state):
        """Call `_resume_training` with these arguments outside a fit; an error while a fit is running."""
        self._check_built()
        self._refuse_while_fitting("restore_training")
        self._start_fitting(state)
        try:
            self._resume_training(*state)
        finally:
            self._stop_fitting()

    def _step(self, Rows rows not None, optimizer, regularization):
        """Take one optimiser step on all rows; return their mean loss before it. The new parameters are published when
        they are next read."""
        cdef fml_status status
        cdef double loss = 0
        cdef PollState poll_state = PollState()
        self._check_rows(rows)
        self._refuse_while_fitting("train_on_batch")
        rows.scale(self.columns)
        self._start_fitting(rows)
        try:
            self._use_optimizer(optimizer, regularization)
            status = self._try_step(rows, &loss, poll_state)
        finally:
            self._stop_fitting()
        self._raise_status(status, rows, poll_state)
        return loss / rows.total_weight

    cdef fml_status _try_step(self, Rows rows, double *loss, PollState poll_state) except *:
        """Take one step with the training in use; roll it back if the loss or a parameter is not finite."""
        cdef fml_status status
        cdef CustomCall call = self._custom_call(poll_state.errors)
        cdef fml_poll poll
        cdef fml_poll *poll_at = NULL  # without custom functions, a step is not interrupted by signals
        if call is not None:
            poll = self._poll(poll_state)
            poll_at = &poll
        cdef Training training = self._current_training()
        cdef fml_trainer *trainer = &training.trainer
        cdef size_t n_rows = rows.data.n_rows
        if training.rate_by_function:
            training.compute_rates(1)
        cdef void *workspace = self._take_workspace(fml_training_workspace(trainer, n_rows))
        if self.unpublished:  # for predictions during this step, and as the state to restore if the step overflows
            self._publish()
        trainer.net = self._network(call)
        if n_rows * self.n_weights < self.gil_work_limit // 4:
            status = fml_train_step(trainer, &rows.data, NULL, n_rows, 0, loss, poll_at, workspace)
        else:
            with nogil:
                status = fml_train_step(trainer, &rows.data, NULL, n_rows, 0, loss, poll_at, workspace)
        trainer.net = &self.net
        self._return_workspace(workspace)
        if status == FML_OK and self._trained_not_finite(training):
            self._roll_back()
            return FML_LOSS_NOT_FINITE
        if status == FML_OK:
            self.unpublished = True
            self._commit()
        return status

    cdef bint _trained_not_finite(self, Training training):
        """Return whether training has made a parameter or a number of the optimiser's state not finite since the last
        call. The state matters, too: a parameter whose state overflows would silently never change again."""
        cdef bint found
        if self.net.n_packed < MANY_MULTIPLY_ADDS:
            return has_become_not_finite(&training.trainer)
        with nogil:
            found = has_become_not_finite(&training.trainer)
        return found

    @property
    def _random_state(self):
        """The state of the random number generator, 64 bits."""
        return self.random


include "_online.pxi"
