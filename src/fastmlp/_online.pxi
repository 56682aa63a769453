# Part of _core.pyx: Core, which adds learn_one, a training step on a single row, to Trainer.
#
# `learn_one` costs little more than its arithmetic. To be able to undo a step that fails, it does not copy the
# parameters before each step, but logs the rows since the last publication: an undone step restores the published
# parameters and repeats the steps on the logged rows (docs/design.md). Code that may run Python, and so other threads,
# comes first; from the end of `_can_log` until the step is marked as running, no Python code runs.


cdef class Core(Trainer):
    """Parameters, predictions and training of one network; the base class of Model and so of Network."""

    def learn_one(self, x, y, optimizer=None, *, regularization=None):
        """Take one optimiser step on a single row, like `train_on_batch`, with less overhead.

        Parameters
        ----------
        x : array_like, shape (I,)
            An array of the network's dtype is read in place.
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
            If an argument is not valid, or a number in x or y is not finite; the network is then unchanged.
        FloatingPointError
            If the loss or a parameter after the step is not finite; the network is then unchanged.

        Notes
        -----
        A prediction in another thread that begins while a large network takes a step uses the parameters that were
        published last, which may lack the steps on some previous rows.

        Examples
        --------
        >>> net = fastmlp.Network([1, 1])
        >>> net.set_layer(0, [[1.0]], [0.0])
        >>> net.learn_one([2.0], 3.0, fastmlp.SGD(0.25))  # (2 - 3)^2; the gradient is (-4, -2)
        1.0
        >>> net.learn_one([2.0], 3.0)
        2.25
        """
        cdef Training training = self.training
        cdef int64_t label = -1
        cdef double number = 0
        cdef target_kind kind = NOT_LOGGED
        if optimizer is None and training is not None and not self.custom:
            kind = self._kind_of_target(y, &label, &number)
            if kind != NOT_LOGGED and regularization != training.regularization:
                kind = NOT_LOGGED
        if (kind != NOT_LOGGED and self._can_log(training) and self._log_row(x)
                and self._log_target(kind, y, label, &number)):
            return self._learn_logged(training, x)
        return self._learn_one_checked(x, y, optimizer, regularization)

    cdef target_kind _kind_of_target(self, y, int64_t *label, double *number) except *:
        """Return the kind of a target; set *label or *number if it is one. The conversions may run Python code."""
        cdef int overflow = 0
        if cnp.PyArray_CheckExact(y):
            return VECTOR
        if self.net.n_targets > 1 and (PyLong_CheckExact(y) or isinstance(y, integer_type)):
            label[0] = PyLong_AsLongLongAndOverflow(PyNumber_Index(y), &overflow)
            return LABEL if overflow == 0 and 0 <= label[0] < <int64_t>self.net.n_targets else NOT_LOGGED
        if self.net.n_targets == 1 and (PyFloat_CheckExact(y) or isinstance(y, floating_type)):
            number[0] = PyFloat_AsDouble(y)
            return NUMBER
        return NOT_LOGGED

    cdef bint _can_log(self, Training training) except -1:
        """Return whether `training` can take a step on one more row of the log: the log has room, and no steps other
        than those on logged rows are unpublished. Allocations come first, as they may run Python code; from the return
        statement on, no Python code runs until the step is done."""
        cdef RowLog log
        if self.row_log is None:
            log = RowLog(self)
            if self.row_log is None:
                self.row_log = log
        if self.row_log.n_rows == self.row_log.capacity or (self.unpublished and self.row_log.n_rows == 0):
            self._publish_steps()
        return (self.fitting is None and self.training is training and training.can_repeat()
                and self.row_log.n_rows < self.row_log.capacity and not (self.unpublished and self.row_log.n_rows == 0))

    cdef bint _log_row(self, x) noexcept:
        """Copy a row to the end of the log; return False for a row that needs a conversion or may be invalid."""
        if not (cnp.PyArray_CheckExact(x) and is_ready(<cnp.ndarray>x, self.typenum, self.n_inputs)
                and cnp.PyArray_NDIM(<cnp.ndarray>x) == 1 and cnp.PyArray_TYPE(<cnp.ndarray>x) == self.typenum):
            return False
        memcpy(self.row_log.x_of(self.row_log.n_rows), cnp.PyArray_DATA(<cnp.ndarray>x),
               self.n_inputs * self.net.kernels.real_size)
        return True

    cdef bint _log_target(self, target_kind kind, y, int64_t label, const double *number) noexcept:
        """Copy the row's target to the log; return False for a target that needs a conversion or may be invalid."""
        cdef void *t = self.row_log.t_of(self.row_log.n_rows)
        self.row_log.labels[self.row_log.n_rows] = label
        if self.columns.labels_are_names:
            return False
        if kind == LABEL:
            return self.min_target <= 0 and self.columns.scales.targets.offset == NULL
        if kind == NUMBER:
            return self._log_numbers(number, False, t)
        if not (cnp.PyArray_TYPE(<cnp.ndarray>y) == self.typenum and cnp.PyArray_NDIM(<cnp.ndarray>y) == 1
                and <size_t>cnp.PyArray_DIM(<cnp.ndarray>y, 0) == self.net.n_targets
                and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>y)):
            return False
        return self._log_numbers(cnp.PyArray_DATA(<cnp.ndarray>y), self.typenum == cnp.NPY_FLOAT32, t)

    cdef bint _log_numbers(self, const void *y, bint single, void *t) noexcept:
        """Write targets, float if `single` else double, to t, scaled like in the core: in double, rounded once.

        Return False if a target is not finite or outside the range of the loss."""
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
            if not (value - value == 0 and self.min_target <= value <= self.max_target):
                return False
        return True

    cdef object _learn_logged(self, Training training, x):
        """Take a step on the row after the last of the log, which `_log_row` has written. If the step makes a number
        that is not finite, restore the published state, which is that before the first logged row, and repeat the steps
        on all logged rows."""
        cdef double loss = 0
        cdef RowLog log = self.row_log
        cdef void *workspace = self._take_workspace(training.row_workspace)
        self._start_fitting(log)  # so that other threads cannot change the network while the GIL is released
        cdef fml_status status = log.step(self, training, log.n_rows, &loss, workspace)
        if status == FML_OK and self._trained_not_finite(training):
            status = FML_LOSS_NOT_FINITE
            fml_trainer_roll_back(&training.trainer, &training.published, self.published.data)
            for k in range(log.n_rows):
                log.step(self, training, k, &loss, workspace)
        self.fitting = None
        self._return_workspace(workspace)
        if status == FML_INPUT_NOT_FINITE:
            checks.refuse_not_finite("X", x, self._type(), self.columns.inputs)
        if status == FML_LOSS_NOT_FINITE:
            checks.refuse_loss()
        log.n_rows += 1
        self.unpublished = True
        return loss
