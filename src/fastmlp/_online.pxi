# Part of _core.pyx: Core, the whole of a network's compiled half; what it adds is learning a row at a time.
#
# `learn_one` costs little more than its arithmetic: no copy of everything before each step, to which one that fails
# would go back, but a log of the rows since what was last published (docs/design.md). What may run Python, and so other
# threads, comes first; from the end of `_can_log` on nothing does until the step is marked as running.


cdef class Core(Trainer):
    """Parameters, predictions and training of one network; `Network` adds names, checks and words."""

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
        return self._learn_unusual(x, y, optimizer, regularization)

    cdef target_kind _kind_of_target(self, y, int64_t *label, double *number) except *:
        """What a target is, and its value where it is no array; conversions may run Python."""
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
        """Whether that training may learn one more row of the log, for which there is then place and nothing else to
        publish. Memory is taken first. From here on nothing runs Python until the step is done."""
        cdef RowLog log
        if self.log is None:
            log = RowLog(self)
            if self.log is None:
                self.log = log
        if self.log.n_rows == self.log.capacity or (self.unpublished and self.log.n_rows == 0):
            self._publish_steps()
        return (self.fitting is None and self.training is training and training.can_repeat()
                and self.log.n_rows < self.log.capacity and not (self.unpublished and self.log.n_rows == 0))

    cdef bint _log_row(self, x) noexcept:
        """Copies a row to the end of the log; False if it is of a kind that takes a conversion, or may be wrong."""
        if not (cnp.PyArray_CheckExact(x) and is_ready(<cnp.ndarray>x, self.typenum, self.n_inputs)
                and cnp.PyArray_NDIM(<cnp.ndarray>x) == 1 and cnp.PyArray_TYPE(<cnp.ndarray>x) == self.typenum):
            return False
        memcpy(self.log.x_of(self.log.n_rows), cnp.PyArray_DATA(<cnp.ndarray>x),
               self.n_inputs * self.net.kernels.real_size)
        return True

    cdef bint _log_target(self, target_kind kind, y, int64_t label, const double *number) noexcept:
        """Copies the target of that row to the log; False where it takes a conversion, or may be wrong."""
        cdef void *t = self.log.t_of(self.log.n_rows)
        self.log.labels[self.log.n_rows] = label
        if self.columns.renamed:
            return False
        if kind == LABEL:
            return self.least_target <= 0 and self.columns.scales.targets.offset == NULL
        if kind == NUMBER:
            return self._log_numbers(number, False, t)
        if not (cnp.PyArray_TYPE(<cnp.ndarray>y) == self.typenum and cnp.PyArray_NDIM(<cnp.ndarray>y) == 1
                and <size_t>cnp.PyArray_DIM(<cnp.ndarray>y, 0) == self.net.n_targets
                and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>y)):
            return False
        return self._log_numbers(cnp.PyArray_DATA(<cnp.ndarray>y), self.typenum == cnp.NPY_FLOAT32, t)

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

    cdef object _learn_logged(self, Training training, x):
        """A step on the last row of the log. The log is how a step that fails takes back itself alone without a copy of
        everything before each step: what is published is the state before the log's first row."""
        cdef double loss = 0
        cdef RowLog log = self.log
        cdef void *workspace = self._take_scratch(training.row_workspace)
        self._start_fitting(log)  # for who is called from within
        cdef fml_status status = log.step(self, training, log.n_rows, &loss, workspace)
        if status == FML_OK and self._trained_not_finite(training):
            status = FML_LOSS_NOT_FINITE
            fml_trainer_roll_back(&training.trainer, &training.published, self.published.data)
            for k in range(log.n_rows):
                log.step(self, training, k, &loss, workspace)
        self.fitting = None
        self._give_scratch(workspace)
        if status == FML_INPUT_NOT_FINITE:
            checks.refuse_not_finite("X", x, self._type(), self.columns.inputs)
        if status == FML_LOSS_NOT_FINITE:
            checks.refuse_loss()
        log.n_rows += 1
        self.unpublished = True
        return loss
