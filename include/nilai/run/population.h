/*
 * population.h - synthetic customers who buy, complain, answer, and leave: the generative model.
 *
 * Everything about a customer is drawn from distributions that are known, and what truly
 * became of them can be asked for afterwards. With the default parameters and no scaling,
 * purchases follow MBG/NBD with the fit to the public CDNOW data, spend its Gamma-Gamma fit.
 *
 *   joining    Customers join evenly over the first half of the span; joining is the first
 *              purchase. (With fewer events than customers need, over longer: some never do.)
 *   buying     While with us, a customer buys at the points of a Poisson process of their own
 *              rate: rate = scale x mean x Gamma(k, 1/k), mean = r/alpha = 0.6371/51.17 per
 *              day, k = r/skew^2. So the rates' coefficient of variation is skew/sqrt(r):
 *              skew 0, all rates are equal; 1, the CDNOW heterogeneity. (Of the purchases of
 *              three years at scale 1, the busiest tenth makes 34 % at 0, 44 % at 1, 51 % at 3;
 *              everybody's first purchase and unequal lives are in these numbers.)
 *   leaving    After each purchase, the first too, a customer leaves for good with their own
 *              probability p = Beta(0.8075, 1.2284) / max(1, scale): a life in days does not
 *              get shorter because purchases are more frequent.
 *   spending   A customer's mean spend is 6.2754/g with g ~ Gamma(3.6245, rate 14.9837); each
 *              purchase is Gamma(6.2754)/g, in major units of the base currency.
 *   tickets    After a purchase, with probability 0.15 (if none is going on), a ticket opens
 *              after Exp(2 d): complaint .35, question .35, request .2, other .1. It is resolved
 *              after a Lomax time, P(T > t) = (1 + t/48h)^-2: median 20 h, 16 % beyond 72 h.
 *              30 % go through `pending`; 10 % are closed without `resolved`; 2 % are never
 *              answered; 12 % of the resolved are reopened after Exp(36 h) and resolved again;
 *              70 % of the resolved are closed after Exp(1 d), of the others it got lost.
 *   grievance  A level from -2 to 8, at first 0. A ticket that ends badly (resolved later than
 *              72 h, reopened, never answered) adds 2; a complaint resolved in time takes 1;
 *              each purchase after which the customer stays halves it. The odds of leaving
 *              are multiplied by grievance^level (default 1.5; 1: tickets change nothing). A
 *              bad end is an occasion to leave by itself, with the probability by which it
 *              exceeds the customer's own p.
 *   answers    Surveys follow 12 % of the purchases (nps, rating; after Exp(1 d)) and 40 % of
 *              the resolved tickets (csat, ces; after Exp(6 h)). Satisfaction, on [0, 1], is
 *              0.80 - 0.12 level + Normal(0, 0.18), cut to the range.
 *   refunds    After 5 % of the purchases, Exp(5 d) later, in half of the cases all of it.
 *   erasure    After any fact, with the given probability, the person leaves and asks within
 *              Exp(1 d) to be forgotten; they do not come back.
 *
 * A customer waits for at most one refund, survey or erasure at a time; the first wins.
 * Time stands in ms; no two facts of one customer have the same.
 *
 * Bounded memory: 64 bytes a customer, plus a calendar queue of 4 bytes a bucket, at most
 * 64 MiB. Facts come in order of time. Pure: no clock, no I/O. Thread: one.
 */
#ifndef NILAI_RUN_POPULATION_H
#define NILAI_RUN_POPULATION_H

#include "nilai/run/fact.h"

struct nilai_population_options {
    uint64_t seed;
    uint32_t customers;
    uint64_t events; /* about how many facts the span shall hold; 0: as many as there are
                         at scale 1, and none after the span */
    int64_t from_ms, span_ms;
    double skew;
    double grievance; /* >= 1 */
    double erase;     /* probability after each fact */
};

/* What really became of one customer. */
struct nilai_truth {
    uint32_t customer;
    int64_t joined_ms;
    int64_t left_ms;   /* after this instant they never buy again; -1: still with us */
    int64_t erased_ms; /* -1: not erased (or not yet) */
    double purchases_per_day, leave_probability, mean_spend;
    uint32_t purchases, tickets, bad_tickets;
};

struct nilai_population;

/* NILAI_NO_MEMORY, or NILAI_INVALID with what is wrong. */
NILAI_MUST_CHECK enum nilai_status
nilai_population_create(const struct nilai_population_options *options,
                        struct nilai_population **population, struct nilai_error *error);
void nilai_population_destroy(struct nilai_population *population);

/* The next fact. NILAI_MISSING: nothing happens any more. */
NILAI_MUST_CHECK enum nilai_status nilai_population_next(struct nilai_population *population,
                                                         struct nilai_fact *fact);

/* When this customer's next fact is due as things stand; INT64_MAX: never. */
int64_t nilai_population_due_ms(const struct nilai_population *population, uint32_t customer);

/* The rates were multiplied by this to reach the wanted number of events. */
double nilai_population_scale(const struct nilai_population *population);

/* Customers [0, joined) have had their first purchase. */
uint32_t nilai_population_joined(const struct nilai_population *population);
void nilai_population_truth(const struct nilai_population *population, uint32_t customer,
                            struct nilai_truth *truth);

#endif
