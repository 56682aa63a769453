# cython: boundscheck=False, cdivision=True
# The compiled half of a network: it owns the parameters, meets arrays, predicts, and runs epochs.
#
# Core is the base class of Network, so that `predict` from the caller to the kernels is one compiled call. Decided:
# what readers see (`published`) is a block that never changes once it is there, held by Python's reference count;
# training works on a block of its own and publishes a copy. So predicting needs no lock, and an error or Ctrl-C
# leaves whole epochs or whole steps. Rejected: a read-write lock (a reader would wait for an epoch) and training
# in place (a reader would see half a step).
# All arguments are checked before anything is written. Work of more than about 100 us releases the GIL; less keeps
# it, because taking it back beside a busy thread costs a switch interval.
cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from cpython.float cimport PyFloat_AsDouble, PyFloat_CheckExact
from cpython.long cimport PyLong_CheckExact
from cpython.ref cimport Py_INCREF, Py_REFCNT, PyObject
from libc.math cimport INFINITY, NAN
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from ._blas cimport blas_engine
from ._csrc cimport *

import threading
import weakref

import numpy as np

from . import arrays
from .inputs import convert, unmasked
from .labels import are_indices, named
from .scaling import needs_float64
from .schema import EMPTY, to_inputs

cdef extern from "numpy/arrayobject.h":
    cnp.ndarray PyArray_NewFromDescr(type subtype, cnp.dtype descr, int nd, cnp.npy_intp *dims, cnp.npy_intp *strides,
                                     void *data, int flags, PyObject *obj)

cnp.import_array()
cdef type ndarray_type = np.ndarray, integer_type = np.integer, floating_type = np.floating
cdef int OUTPUT_FLAGS = (cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_F_CONTIGUOUS | cnp.NPY_ARRAY_OWNDATA
                         | cnp.NPY_ARRAY_ALIGNED | cnp.NPY_ARRAY_WRITEABLE)

cdef enum:
    MANY_MULTIPLY_ADDS = 1 << 20  # about 100 us of one core: from here on the GIL is released
    SCRATCH_HEAD = 64  # bytes before a workspace, for its capacity


include "_kernels.pxi"
include "_training.pxi"
include "_custom.pxi"
include "_predictor.pxi"


cdef class Core(Predictor):
    """Parameters, predictions and epochs of one network; `Network` adds names, checks and words."""

    cdef Training training   # the optimiser's state, or None before the first step
    cdef object chosen       # what None stands for when there is no training: the last optimiser
    cdef Training previous   # what `training` has replaced, until its first success
    cdef bint tentative      # `training` has published nothing yet: an error goes back to `previous`
    cdef bint unpublished    # train_on_batch or learn_one has moved the training's block on
    cdef bint mid_epoch      # a fit has, by an epoch that is neither published nor taken back
    cdef RowLog log          # the rows of learn_one since the last publication, or None before the first
    cdef uint64_t random_before  # where `training` is tentative: that from before it
    cdef object fitting      # what runs: a weak reference to a fit's token, the rows of a step, or None

    # -- parameters --------------------------------------------------------------------------------------------------

    def _published(self):
        """What readers see at this moment, also while a fit is running: P, the columns that go with it, the state of
        the generator."""
        cdef Block block = self._readable()
        cdef cnp.ndarray P = self._empty(1, [self.net.n_parameters, 0])
        fml_network_unpack(&self.net, block.data, cnp.PyArray_DATA(P))
        return P, (block.columns.inputs, block.columns.targets, block.columns.schema), self.random

    def _replace_parameters(self, cnp.ndarray P not None):
        """What assigning parameters does; refused while a fit is running."""
        self._refuse_while_fitting("parameters")
        self._put_parameters(P)

    def _put_parameters(self, cnp.ndarray P not None):
        """Publishes P, checked and of the network's dtype, and forgets the optimiser's state."""
        if P.size != <cnp.npy_intp>self.net.n_parameters or cnp.PyArray_TYPE(P) != self.typenum:
            raise ValueError(f"parameters: expected {self.net.n_parameters} numbers, got {P.size} of dtype {P.dtype}")
        cdef Block block = new_block(self.net.n_packed * self.net.kernels.real_size)
        block.columns = self.columns
        fml_network_pack(&self.net, cnp.PyArray_DATA(P), block.data)
        self.published = block
        self.chosen = self._optimizer
        self.training = None
        self._forget_steps()
        self._commit()

    @property
    def _published_columns(self):
        """The same, of the parameters that readers see: in the first epoch of a fit, it does not know any."""
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
        if self.unpublished and not self._is_fitting():
            self._publish()
        return self.published

    cdef int _publish(self) except -1:
        """Copies what training has learnt to where readers, and errors, find it."""
        if Py_REFCNT(self.published) > 1:  # somebody reads it
            self.published = new_block(self.training.size)
        self.published.columns = self.columns
        self.training.publish(self.published.data)
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
        self.columns = self.published.columns
        if self.tentative:
            self.training, self.random = self.previous, self.random_before
            self._commit()
        elif self.training is not None:
            self.training.roll_back(self.published.data)
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
        return None if self.training is None else self.training.next_rate()

    def _set_rate(self, double rate):
        """Has the optimiser, whose own learning rate is a number, go on with that one. The rows of the log were learnt
        with the one before: what they have made is published, so that they need not be learnt again."""
        self._check_training()
        self._readable()
        self.training.trainer.hyper_parameters[0] = rate

    @property
    def _n_evaluations(self):
        """How many gradients L-BFGS has asked for since it began; None for any other optimiser."""
        if self.training is None or self.training.trainer.lbfgs == NULL:
            return None
        return fml_lbfgs_n_evaluations(self.training.trainer.lbfgs)

    @property
    def _lbfgs_loss(self):
        """The sum over the rows of its last iteration of the loss that L-BFGS has reached."""
        self._check_training()
        return fml_lbfgs_loss(self.training.trainer.lbfgs)

    @property
    def _converged(self):
        """Whether the optimiser has found a minimum of the loss over the rows of its last iteration."""
        return (self.training is not None and self.training.trainer.lbfgs != NULL
                and fml_lbfgs_converged(self.training.trainer.lbfgs) != 0)

    def _observe(self, logs):
        """Tells a learning rate that follows from losses those of an epoch."""
        if self.training is not None and self.training.plateau is not None:
            self.training.plateau.observe(logs)
            self.training.trainer.hyper_parameters[0] = self.training.plateau.rate

    def _use_optimizer(self, optimizer, regularization):
        """Continues the optimiser if it is equal to the last one, or None, and so is the regularisation; else starts it
        anew, and an error before its first success brings back the one before. The caller has marked the network as
        being fitted."""
        cdef uint64_t random = self.random
        if (self.training is not None and (optimizer is None or optimizer == self.training.optimizer)
                and regularization == self.training.regularization):
            self.training.meet_data()
            return
        if self.unpublished:
            self._publish()
        cdef Training training = Training(self, self._optimizer if optimizer is None else optimizer, regularization)
        if not self.tentative:
            self.previous, self.tentative, self.random_before = self.training, True, random
        self.training = training

    cdef int _check_training(self) except -1:
        if self.training is None:
            raise RuntimeError("optimizer: expected _use_optimizer before an epoch")
        return 0

    cdef bint _is_fitting(self):
        """A fit whose token is gone is over, even where an exception has kept it from saying so."""
        if isinstance(self.fitting, weakref.ref) and self.fitting() is None:
            self._stop_fitting()
        return self.fitting is not None

    cdef void _stop_fitting(self) noexcept:
        self.fitting = None
        if self.tentative or self.mid_epoch:
            self._roll_back()
        self.columns = self.published.columns

    def _begin_fit(self, token):
        """Marks the network as being fitted; whoever calls this calls `_end_fit` with the same token, come what may."""
        self._refuse_while_fitting("fit")
        self._readable()
        self.fitting = weakref.ref(token)

    def _end_fit(self, token):
        """Ends the fit of that token, if it is the one that is running."""
        if isinstance(self.fitting, weakref.ref) and self.fitting() is token:
            self._stop_fitting()

    def _begin_epoch(self, Rows rows not None, order):
        """Draws the order of the rows into `order`, an array of uint32 or a BlockOrder, unless that is None. What the
        epoch learns is taken back when the fit ends, unless `_end_epoch` has been called."""
        self._check_rows(rows)
        self._check_training()
        cdef size_t n = rows.data.n_rows
        cdef uint32_t *drawn
        self.training.trainer.random, self.mid_epoch = self.random, True
        if order is None:
            return
        if type(order) is BlockOrder:
            fml_block_order_draw(&(<BlockOrder>order).order, &self.training.trainer.random)
            return
        if order.size != <cnp.npy_intp>n or cnp.PyArray_TYPE(<cnp.ndarray?>order) != cnp.NPY_UINT32:
            raise ValueError(f"order: expected {n} elements of uint32, got {order.size} of {order.dtype}")
        drawn = <uint32_t *>cnp.PyArray_DATA(<cnp.ndarray>order)
        if n < MANY_MULTIPLY_ADDS // 16:
            fml_random_order(&self.training.trainer.random, drawn, n)
        else:
            with nogil:
                fml_random_order(&self.training.trainer.random, drawn, n)

    def _stretch(self, Rows rows not None, size_t batch_size, order, size_t first, size_t end, double loss,
                 double seconds, bint more=False):
        """The batches of an epoch that begin at row `first` or later and before `end`, or those of them that begin
        within so many seconds: (the row that is next, the loss and the new losses summed by weight). Publishes at the
        end of the rows, unless the epoch has more than these."""
        self._check_rows(rows)
        self._check_training()
        rows.scale(self.columns)
        if not self.mid_epoch or batch_size < 1 or end > rows.data.n_rows:
            raise ValueError(f"end: expected a stretch of an epoch of {rows.data.n_rows} rows, got {first} to {end}")
        cdef Watch watch = Watch()
        watch.deadline = fml_seconds() + seconds
        cdef BlockOrder blocks = order if type(order) is BlockOrder else None
        cdef uint32_t *drawn = NULL
        if blocks is not None and (blocks.n_rows != rows.data.n_rows or blocks.batch_size < batch_size):
            raise ValueError(f"order: expected one of {rows.data.n_rows} rows, got one of {blocks.n_rows}")
        if order is not None and blocks is None:
            drawn = <uint32_t *>cnp.PyArray_DATA(<cnp.ndarray?>order)
        cdef CustomCall call = self._custom_call(watch.caught)
        cdef fml_poll poll = self._poll(watch)
        cdef fml_trainer *trainer = &self.training.trainer
        cdef fml_status status
        cdef size_t most_rows = min(batch_size, rows.data.n_rows)
        if self.training.by_function:
            self.training.plan((end - first + batch_size - 1) // batch_size)
        cdef void *workspace = self._take_scratch(fml_training_workspace(trainer, most_rows))
        trainer.net = self._network(call)
        if blocks is not None:
            with nogil:
                status = fml_train_blocks(trainer, &rows.data, batch_size, &blocks.order, blocks.ask, &first, end,
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
        elif self._trained_not_finite():
            status = FML_LOSS_NOT_FINITE if status == FML_OK else FML_STOPPED
            self._roll_back()
        elif status == FML_STOPPED or (first >= rows.data.n_rows and not more):
            self._end_epoch()
        self._raise(status, rows, watch)
        return first, loss

    def _end_epoch(self):
        """Publishes what the epoch has learnt so far."""
        if self.mid_epoch:
            self.random = self.training.trainer.random
            self._publish()

    def _training_state(self):
        """P, the optimiser's vectors in the order of P, its numbers, and that of its steps, as training has them. Where
        an average is kept, that is P, and the last vector what it is of."""
        self._check_training()
        cdef fml_trainer *trainer = &self.training.trainer
        cdef cnp.ndarray P = self._empty(1, [self.net.n_parameters, 0]), state
        fml_network_unpack(&self.net, self.training.visible(), cnp.PyArray_DATA(P))
        cdef list states = []
        for k in range(self.training.n_vectors()):
            state = self._empty(1, [self.net.n_parameters, 0])
            fml_network_unpack(&self.net, self.training.vector(k), cnp.PyArray_DATA(state))
            states.append(state)
        return P, states, self.training.numbers(), trainer.n_steps

    def _resume_training(self, optimizer, regularization, cnp.ndarray P not None, list states, list numbers,
                         uint64_t n_steps, uint64_t random):
        """Goes on from what `_training_state` gave and from that state of the generator; the caller has checked all of
        it and marked the network as being fitted."""
        cdef uint64_t before = self.random
        cdef Training training = Training(self, optimizer, regularization)
        cdef cnp.ndarray state
        self.random = before  # a new key is not needed
        training.remember(len(states), numbers)
        for k in range(len(states)):
            state = states[k]
            if state.size != <cnp.npy_intp>self.net.n_parameters or cnp.PyArray_TYPE(state) != self.typenum:
                raise ValueError(f"states: expected {self.net.n_parameters} numbers, got {state.size} of {state.dtype}")
            fml_network_pack(&self.net, cnp.PyArray_DATA(state), training.vector(k))
        self._put_parameters(P)
        memcpy(training.visible(), self.published.data, training.size)
        training.trainer.n_steps, self.training, self.random = n_steps, training, random
        self._publish()

    def _step(self, Rows rows not None, optimizer, regularization):
        """One optimiser step on all rows; returns their mean loss before it. What it learns is published when read."""
        cdef fml_status status
        cdef double loss = 0
        cdef Watch watch = Watch()
        self._refuse_while_fitting("train_on_batch")
        self._check_rows(rows)
        rows.scale(self.columns)
        self.fitting = rows
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
        cdef fml_trainer *trainer = &self.training.trainer
        cdef size_t n_rows = rows.data.n_rows
        if self.training.by_function:
            self.training.plan(1)
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
        if status == FML_OK and self._trained_not_finite():
            self._roll_back()
            return FML_LOSS_NOT_FINITE
        if status == FML_OK:
            self.unpublished = True
            self._commit()
        return status

    def learn_one(self, x, y, optimizer=None, *, regularization=None):
        """One optimiser step on a single row; what `train_on_batch` does with it, at less cost around the arithmetic.

        Parameters
        ----------
        x : array_like, shape (I,)
            An array of the network's dtype is read where it stands.
        y : array_like, shape (O,), or a number where O is 1, or a class label where O > 1
        optimizer : str, Optimizer or None, default None
            None continues the last one, with its state; before the first step it is Adam.
        regularization : Regularization, optional
            As for `fit`.

        Returns
        -------
        float
            The loss of the row before the step, penalties included.

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit, or a number in x or y is not finite; the network is as before.
        FloatingPointError
            If the loss or what the step makes of the parameters is not finite; the network is as before.

        Notes
        -----
        A prediction in another thread that begins while a large network takes a step sees what was published last: the
        parameters as they were some rows before.

        Examples
        --------
        >>> net = fastmlp.Network([1, 1])
        >>> net.set_layer(0, [[1.0]], [0.0])
        >>> net.learn_one([2.0], 3.0, fastmlp.SGD(0.25))  # (2 - 3)^2; the gradient is (-4, -2)
        1.0
        >>> net.learn_one([2.0], 3.0)
        2.25
        """
        if (optimizer is None and self.fitting is None and self.training is not None and self.training.can_repeat()
                and regularization == self.training.regularization):
            if self.log is None or self.log.n_rows == self.log.capacity or (self.unpublished and self.log.n_rows == 0):
                self._begin_log()
            if not self.custom and self._log_row(x, y):
                return self._learn_logged(x)
        return self._learn_unusual(x, y, optimizer, regularization)

    cdef int _begin_log(self) except -1:
        """Publishes what there is to publish, so that the rows that will be logged are all since then."""
        if self.unpublished:
            self._publish()
        if self.log is None:
            self.log = RowLog(self)
        return 0

    cdef bint _log_row(self, x, y) except -1:
        """Copies a row and its target to the end of the log; False if they are of a kind that takes a conversion, or
        may be wrong."""
        cdef size_t real_size = self.net.kernels.real_size
        if not (cnp.PyArray_CheckExact(x) and is_ready(<cnp.ndarray>x, self.typenum, self.n_inputs)
                and cnp.PyArray_NDIM(<cnp.ndarray>x) == 1 and cnp.PyArray_TYPE(<cnp.ndarray>x) == self.typenum):
            return False
        memcpy(self.log.x_of(self.log.n_rows), cnp.PyArray_DATA(<cnp.ndarray>x), self.n_inputs * real_size)
        cdef int64_t *label = &self.log.labels[self.log.n_rows]
        if self.net.n_targets > 1 and (PyLong_CheckExact(y) or isinstance(y, integer_type)):
            if (not 0 <= y < self.net.n_targets or self.least_target > 0 or self.columns.renamed
                    or self.columns.scales.targets.offset != NULL):
                return False
            label[0] = y
            return True
        label[0] = -1
        if self.columns.renamed:
            return False
        return self._log_target(y, self.log.t_of(self.log.n_rows))

    cdef bint _log_target(self, y, void *t) except -1:
        """The same for a target that is a number, or a vector of the network's dtype."""
        cdef double value
        if cnp.PyArray_CheckExact(y):
            if not (cnp.PyArray_TYPE(<cnp.ndarray>y) == self.typenum and cnp.PyArray_NDIM(<cnp.ndarray>y) == 1
                    and <size_t>cnp.PyArray_DIM(<cnp.ndarray>y, 0) == self.net.n_targets
                    and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>y)):
                return False
            return self._log_numbers(cnp.PyArray_DATA(<cnp.ndarray>y), self.typenum == cnp.NPY_FLOAT32, t)
        if self.net.n_targets == 1 and (PyFloat_CheckExact(y) or isinstance(y, floating_type)):
            value = PyFloat_AsDouble(y)
            return self._log_numbers(&value, False, t)
        return False

    cdef bint _log_numbers(self, const void *y, bint single, void *t) noexcept:
        """Writes targets, floats or doubles, to t, scaled as the core scales them: in double, and rounded once."""
        cdef const fml_affine *scaling = &self.columns.scales.targets
        cdef double value
        cdef size_t i
        for i in range(self.net.n_targets):
            value = (<const float *>y)[i] if single else (<const double *>y)[i]
            if scaling.offset != NULL and value - value == 0:
                value = (value - scaling.offset[i]) / scaling.scale[i]
            if self.typenum == cnp.NPY_FLOAT32:
                value = (<float *>t)[i] = <float>value
            else:
                (<double *>t)[i] = value
            if not (value - value == 0 and self.least_target <= value <= self.most_target):
                return False
        return True

    cdef object _learn_logged(self, x):
        """A step on the last row of the log. The log is how a step that fails takes back itself alone without a copy of
        everything before each step: what is published is the state before the log's first row."""
        cdef double loss = 0
        cdef void *workspace = self._take_scratch(self.training.row_workspace)
        self.fitting = self.log  # for who is called from within
        cdef fml_status status = self.log.step(self, self.log.n_rows, &loss, workspace)
        if status == FML_OK and self._trained_not_finite():
            status = FML_LOSS_NOT_FINITE
            self.training.roll_back(self.published.data)
            for k in range(self.log.n_rows):
                self.log.step(self, k, &loss, workspace)
        self.fitting = None
        self._give_scratch(workspace)
        if status == FML_INPUT_NOT_FINITE:
            arrays.refuse_not_finite("X", x, self._type(), self.columns.inputs)
        if status == FML_LOSS_NOT_FINITE:
            arrays.refuse_loss()
        self.log.n_rows += 1
        self.unpublished = True
        return loss

    cdef bint _trained_not_finite(self):
        """Whether a parameter that training has made since the last call is not finite."""
        cdef size_t i
        if not self.training.trainer.suspect:
            return False
        self.training.trainer.suspect = False
        cdef void *block = self.training.trainer.block
        if self.net.n_packed < MANY_MULTIPLY_ADDS:
            return self.net.kernels.first_not_finite(block, self.net.n_packed) < self.net.n_packed
        with nogil:
            i = self.net.kernels.first_not_finite(block, self.net.n_packed)
        return i < self.net.n_packed

    @property
    def _random_state(self):
        """The state of the generator, 64 bits."""
        return self.random
