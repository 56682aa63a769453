# Fits models of nnet, and writes each beside rows and what predict() gives for them. The argument is a folder.
# NAME.rds is the model, NAME.rows the rows, and NAME.outputs their outputs, row by row as doubles.
library(nnet)
folder <- commandArgs(trailingOnly = TRUE)[1]
set.seed(1)

write <- function(values, name) writeBin(as.double(t(as.matrix(values))), file.path(folder, name))
keep <- function(name, model, X, type = "raw", ...) {
  saveRDS(model, file.path(folder, paste0(name, ".rds")), ...)
  write(X, paste0(name, ".rows"))
  write(predict(model, if (is.null(model$terms)) X else rows, type = type), paste0(name, ".outputs"))
}
fit <- function(...) nnet(..., decay = 0.05, maxit = 30, trace = FALSE)  # no unit reaches 15, where nnet cuts off

X <- matrix(runif(180, -1, 1), 60, dimnames = list(NULL, c("p", "q", "r")))
target <- as.double(X[, 1] + X[, 2]^2 > 0.5)
three <- factor(c("lo", "mid", "hi"))[1 + (X[, 1] > 0) + (X[, 2] > 0)]
rows <- data.frame(X, f = factor(rep(c("u", "v", "w"), 20)), two = factor(c("no", "yes"))[1 + target], three = three)

keep("logistic", fit(X, target, size = 4), X)
keep("linear", fit(X, cbind(X[, 1]^2, 3 * X[, 2]), size = 5, linout = TRUE, Hess = TRUE), X)
keep("entropy", fit(X, target, size = 3, entropy = TRUE), X, compress = FALSE)
keep("softmax", fit(X, class.ind(three), size = 3, softmax = TRUE), X, version = 2)
keep("mask", fit(X, target, size = 2, mask = rep(c(TRUE, TRUE, FALSE), length.out = 11)), X, ascii = TRUE)
keep("no hidden layer", fit(X, X[, 3], size = 0, skip = TRUE, linout = TRUE), X)
columns <- function(formula) model.matrix(formula, rows)[, -1]
keep("two levels", fit(two ~ p + f, rows, size = 3), columns(~ p + f))
keep("three levels", fit(three ~ p * q, rows, size = 4), columns(~ p * q))
keep("multinom of two", multinom(two ~ p + f, rows, trace = FALSE, maxit = 5), columns(~ p + f), "probs")
keep("multinom of three", multinom(three ~ p + q + r, rows, trace = FALSE, maxit = 5), X, "probs")

keep("skip", fit(X, target, size = 2, skip = TRUE), X)
keep("censored", fit(X, class.ind(three), size = 2, censored = TRUE), X)
keep("xz", fit(X, target, size = 2), X, compress = "xz")
keep("bzip2", fit(X, target, size = 2), X, compress = "bzip2")
