/*
 * signals.h - what service did to a customer, faded by half every half-life.
 *
 * One sum per reason code, all faded to one instant (signals_ms); one table (signals.c) says
 * what each code is called, which group it belongs to and what it weighs.
 */
#ifndef NILAI_CUSTOMER_SIGNALS_H
#define NILAI_CUSTOMER_SIGNALS_H

#include "nilai/customer/customer.h"

/* The reason code of a signal, as published: "complaint", "nps-detractor", ... */
extern const char *const nilai_signal_codes[NILAI_SIGNALS];

/* Adds one signal of `weight` that happened at `ts_ms`, which may be in the past. */
void nilai_signals_add(const struct nilai_model *model, struct nilai_service *service,
                       enum nilai_signal code, double weight, int64_t ts_ms);

/* A purchase forgives: every stored support signal shrinks to `forgive` of itself. */
void nilai_signals_forgive(const struct nilai_model *model, struct nilai_service *service);

/* One answer, normalized to 0 (worst) .. 1 (best): its own signal and the drift of all. */
void nilai_signals_answer(const struct nilai_model *model, struct nilai_service *service,
                          enum nilai_metric metric, double normalized, int64_t ts_ms);

/* Sums of the groups at signals_ms, not clamped. */
double nilai_signals_support(const struct nilai_service *service);
double nilai_signals_survey(const struct nilai_service *service);

/* 2^(-ms / half-life); 1 for ms = 0. */
double nilai_signals_fade(const struct nilai_model *model, int64_t ms);

#endif
