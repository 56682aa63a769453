// Predicts rows in several threads at once with one model, in C++.
//
//     make -C csrc
//     c++ -std=c++17 -O2 examples/native/predict.cpp -Icsrc/include build/native/libfastmlp.a -pthread -o threads
//     ./threads model.safetensors
//
// Each thread predicts the same 1,000 rows, row by row; the program checks that all got the outputs of one call for all
// rows, to the bit, and prints the sum of the outputs.
#include <fastmlp.h>

#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

namespace {

struct Free {
    void operator()(fastmlp_model *model) const { fastmlp_free(model); }
};
using Model = std::unique_ptr<fastmlp_model, Free>;

Model load(const char *path) {
    std::ifstream stream(path, std::ios::binary);
    std::vector<char> file((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
    fastmlp_error error;
    Model model(fastmlp_load(file.data(), file.size(), &error));
    if (!model) throw std::runtime_error(error.text);
    return model;
}

constexpr std::size_t n_rows = 1000;

// Predict in several threads; returns the sum of the outputs.
template <typename Real> double predict(fastmlp_model *model) {
    std::size_t n_inputs = fastmlp_n_inputs(model), n_outputs = fastmlp_n_outputs(model);
    std::vector<Real> x(n_rows * n_inputs), together(n_rows * n_outputs);
    for (std::size_t i = 0; i < x.size(); i++) x[i] = static_cast<Real>(i * 7919 % 1000) / 500 - 1;
    std::vector<char> workspace(fastmlp_workspace_size(model, n_rows));
    fastmlp_predict(model, x.data(), n_rows, together.data(), workspace.data());

    std::vector<std::vector<Real>> alone(4, std::vector<Real>(n_rows * n_outputs));
    std::vector<std::thread> threads;
    for (auto &y : alone)
        threads.emplace_back([&] {
            for (std::size_t i = 0; i < n_rows; i++) fastmlp_call(&x[i * n_inputs], &y[i * n_outputs], model);
        });
    for (auto &thread : threads) thread.join();
    for (const auto &y : alone)
        if (std::memcmp(y.data(), together.data(), y.size() * sizeof(Real)) != 0)
            throw std::runtime_error("a row has other bits alone");
    return std::accumulate(together.begin(), together.end(), 0.0);
}

} // namespace

int main(int n_arguments, char **arguments) try {
    if (n_arguments != 2) throw std::runtime_error("expected one argument, a model file");
    Model model = load(arguments[1]);
    bool is_float = fastmlp_model_dtype(model.get()) == FASTMLP_FLOAT32;
    std::cout.precision(17);
    std::cout << (is_float ? predict<float>(model.get()) : predict<double>(model.get())) << '\n';
    return 0;
} catch (const std::exception &error) {
    std::cerr << arguments[0] << ": " << error.what() << '\n';
    return 1;
}
