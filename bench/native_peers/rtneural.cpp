// The peer of native.py that is RTNeural with Eigen: its static network, ModelT. MODEL_LAYERS is the list of its
// layers.
#include "peer.h"

#include <RTNeural/RTNeural.h>

#include <cstring>
#include <new>
#include <utility>
#include <vector>

static constexpr int sizes[] = {SIZES};
using Model = RTNeural::ModelT<float, sizes[0], sizes[LAYERS], MODEL_LAYERS>;

template <int I, int O> static void load(RTNeural::DenseT<float, I, O> &layer, const float *&P) {
    std::vector<std::vector<float>> w;
    for (int o = 0; o < O; o++, P += I) w.emplace_back(P, P + I);
    layer.setWeights(w);
    layer.setBias(P);
    P += O;
}

template <typename Layer> static void load(Layer &, const float *&) {}

template <size_t... l> static void load_all(Model &model, const float *P, std::index_sequence<l...>) {
    (load(model.get<l>(), P), ...);
}

void *peer_open(const float *P, const char *) {
    auto *model = new (std::align_val_t(64)) Model;
    load_all(*model, P, std::make_index_sequence<N_MODEL_LAYERS>());
    model->reset();
    return model;
}

void peer_row(const float *x, float *y, void *context) {
    auto *model = static_cast<Model *>(context);
    model->forward(x);
    std::memcpy(y, model->getOutputs(), sizes[LAYERS] * sizeof(float));
}
