#include "nilai/customer/rhythm.h"
#include "nilai/customer/value.h"
#include "test.h"

static struct nilai_model cdnow_sample(void)
{
    struct nilai_model model;
    nilai_model_defaults(&model);
    model.rhythm.r = .525, model.rhythm.alpha = 6.183, model.rhythm.a = .891, model.rhythm.b = 1.614; /* weeks */
    CHECK_EQ(nilai_model_prepare(&model, NULL), NILAI_OK);
    return model;
}

/* Goal: the formulas are those of the published fit of the CDNOW sample (Hoppe, Wagner 2007).
 * Method: its numbers, in weeks, to the digits that were published. */
TEST(p_alive_and_silence_match_the_published_fit)
{
    static const struct {
        uint32_t x;
        double t_x, T, p_alive, p_silent;
    } golden[] = {
        {2, 30.43, 38.86, .706202265118, .440005909178},
        {0, 0, 38.86, .389735080919, .891170601223},
        {5, 38, 38.86, .869675350152, .158043613772},
    };
    struct nilai_model model = cdnow_sample();
    for (size_t i = 0; i < NILAI_ARRAY_LEN(golden); i++) {
        struct nilai_posterior posterior = nilai_rhythm_posterior(&model, golden[i].x, golden[i].t_x);
        double silence = golden[i].T - golden[i].t_x;
        double z = nilai_rhythm_z(&posterior, 39, silence);
        struct nilai_silence silent = nilai_rhythm_silence(&posterior, silence);
        CHECK_NEAR(nilai_rhythm_p_alive(&silent), golden[i].p_alive, 1e-12);
        CHECK_NEAR(1 / (1 + exp(-z)), golden[i].p_silent, 1e-12);
    }
}

/* Goal: expected spend is the Gamma-Gamma expectation. Method: published numbers. */
TEST(expected_spend_matches_the_published_fit)
{
    struct nilai_model model;
    nilai_model_defaults(&model);
    model.spend_p = 6.25, model.spend_q = 3.74, model.spend_gamma = 15.44;
    CHECK_NEAR(nilai_value_spend(&model, 0, 0), 35.2190, 5e-5);
    CHECK_NEAR(nilai_value_spend(&model, 2, 44.70), 24.6637, 5e-5);
    CHECK_NEAR(nilai_value_spend(&model, 7, 516.18), 71.4697, 5e-5);
}

/* Goal: expected purchase days are right for any a, also where the textbook series is useless.
 * Method: the defining integral, E over Gamma(s, R + D) and Beta(a, b + x + 1) given alive of
 * (1 - e^(-rate p T)) / p, by Simpson's rule over transformed variables; for the Gamma part
 * the closed form (1 - ((R+D)/(R+D+pT))^s) / p. */
static double expected_by_integration(const struct nilai_model *model, uint32_t x, double t_x,
                                      double silence, double days)
{
    enum { STEPS = 200000 };
    double s = model->rhythm.r + x, past = model->rhythm.alpha + t_x + silence;
    double a = model->rhythm.a, b = model->rhythm.b + x + 1, sum = 0;
    /* p = u^(3/a) takes the singularity of p^(a-1) away; (1 - p)^(b-1) with b > 1 is harmless. */
    for (int i = 0; i <= STEPS; i++) {
        double u = (double)i / STEPS, p = pow(u, 3 / a);
        double inside = p > 1e-12 ? -expm1(-s * log1p(p * days / past)) / p : s * days / past;
        double weight = i == 0 || i == STEPS ? 1 : i % 2 ? 4 : 2;
        sum += weight * inside * pow(1 - p, b - 1) * u * u;
    }
    double beta = exp(lgamma(a) + lgamma(b) - lgamma(a + b));
    double alive = sum / (3.0 * STEPS) * 3 / a / beta;
    return alive / (1 + model->rhythm.a / (model->rhythm.b + x) * pow((past) / (model->rhythm.alpha + t_x), s));
}

TEST(expected_days_match_the_integral)
{
    uint64_t seed = test_seed(1);
    for (int i = 0; i < 60; i++) {
        struct nilai_model model;
        nilai_model_defaults(&model);
        model.rhythm.r = i % 4 == 0 ? 0.01 + 40 * next_uniform(&seed) : 0.2 + 3 * next_uniform(&seed);
        model.rhythm.alpha = 2 + 100 * next_uniform(&seed);
        model.rhythm.a = i % 10 == 0 ? 1 : 0.3 + 3 * next_uniform(&seed);
        model.rhythm.b = 1.5 + 3 * next_uniform(&seed);
        CHECK_EQ(nilai_model_prepare(&model, NULL), NILAI_OK);
        uint32_t x = (uint32_t)(next_random(&seed) % 12);
        double t_x = x > 0 ? 300 * next_uniform(&seed) : 0, silence = 400 * next_uniform(&seed);
        struct nilai_posterior posterior = nilai_rhythm_posterior(&model, x, t_x);
        double expected = expected_by_integration(&model, x, t_x, silence, 365);
        struct nilai_silence silent = nilai_rhythm_silence(&posterior, silence);
        CHECK_NEAR(nilai_rhythm_expected_days(&model, x, &silent, 365), expected,
                   2e-6 * expected + 1e-9);
        CHECK_NEAR(nilai_rhythm_expected_year(&model, x, &silent), expected,
                   2e-6 * expected + 1e-9);
    }
}

/* Goal: the table says what the formula says, to nine digits, for any fit and history.
 * Method: random fits; histories of any length, also beyond the ends of the table. */
TEST(the_table_of_a_year_matches_the_formula)
{
    uint64_t seed = test_seed(5);
    for (int i = 0; i < 100; i++) {
        struct nilai_model model;
        nilai_model_defaults(&model);
        model.rhythm.r = exp(4 * next_uniform(&seed) - 2);
        model.rhythm.alpha = exp(8 * next_uniform(&seed) - 2);
        model.rhythm.a = exp(4 * next_uniform(&seed) - 2);
        model.rhythm.b = exp(4 * next_uniform(&seed) - 2);
        CHECK_EQ(nilai_model_prepare(&model, NULL), NILAI_OK);
        for (int k = 0; k < 300; k++) {
            uint32_t x = (uint32_t)(next_random(&seed) % (NILAI_OUTLOOK_REPEATS + 4));
            double past = model.rhythm.alpha + exp(12 * next_uniform(&seed) - 3);
            double exact = nilai_outlook_days(&model.rhythm, x, past, NILAI_OUTLOOK_DAYS);
            CHECK_NEAR(nilai_outlook_year(&model.outlook, &model.rhythm, x, past), exact, 1e-9 * exact);
        }
    }
}

/* By the formula: these models' tables are not filled. */
static double expected_year(const struct nilai_model *model, const struct nilai_posterior *posterior,
                            uint32_t x, double silence)
{
    struct nilai_silence silent = nilai_rhythm_silence(posterior, silence);
    return nilai_rhythm_expected_days(model, x, &silent, NILAI_OUTLOOK_DAYS);
}

/* Goal: the two facts that deadlines rest on: z never falls, and rises by at most
 * (s + 1) ln of the growth of R + D; and expected days never rise with silence.
 * Method: random parameters and pairs of silences. */
TEST(z_rises_within_its_bound_and_expected_days_fall)
{
    uint64_t seed = test_seed(2);
    struct nilai_model model;
    nilai_model_defaults(&model);
    for (int i = 0; i < 100000; i++) {
        model.rhythm.r = exp(6 * next_uniform(&seed) - 4);
        model.rhythm.alpha = exp(10 * next_uniform(&seed) - 3);
        model.rhythm.a = exp(6 * next_uniform(&seed) - 3);
        model.rhythm.b = exp(6 * next_uniform(&seed) - 3);
        model.ln_a = log(model.rhythm.a); /* all of what prepare derives that z needs */
        uint32_t x = (uint32_t)exp(8 * next_uniform(&seed)) - 1;
        double horizon = exp(6 * next_uniform(&seed)), t_x = exp(8 * next_uniform(&seed)) - 1;
        struct nilai_posterior posterior = nilai_rhythm_posterior(&model, x, t_x);
        double early = exp(10 * next_uniform(&seed)) - 1;
        double later = early + exp(14 * next_uniform(&seed) - 8);

        double z1 = nilai_rhythm_z(&posterior, horizon, early);
        double z2 = nilai_rhythm_z(&posterior, horizon, later);
        double most = (posterior.s + 1) * log((posterior.span + later) / (posterior.span + early));
        double rounding = 1e-12 * (1 + fabs(z1) + fabs(z2)) * (1 + posterior.s);
        CHECK(z2 >= z1 - rounding);
        CHECK(z2 - z1 <= most + rounding);
        if (i % 100 == 0 && model.rhythm.alpha > 1) {
            double y1 = expected_year(&model, &posterior, x, early);
            double y2 = expected_year(&model, &posterior, x, later);
            CHECK(y2 <= y1 * (1 + 1e-9));
        }
    }
}

/* Goal: between two silences z rises by no less and no more than the slopes say, and at one silence
 * they are its derivative: an interval that the search for a deadline discards has no deadline.
 * Method: random parameters and pairs of silences, near and far; small differences. */
TEST(z_rises_as_its_slopes_say)
{
    uint64_t seed = test_seed(6), strict = 0;
    struct nilai_model model;
    nilai_model_defaults(&model);
    for (int i = 0; i < 100000; i++) {
        model.rhythm.r = exp(6 * next_uniform(&seed) - 4);
        model.rhythm.alpha = exp(6 * next_uniform(&seed));
        model.rhythm.a = exp(6 * next_uniform(&seed) - 3);
        model.rhythm.b = exp(6 * next_uniform(&seed) - 3);
        model.ln_a = log(model.rhythm.a); /* all of what prepare derives that z needs */
        uint32_t x = (uint32_t)exp(4 * next_uniform(&seed)) - 1;
        double horizon = exp(6 * next_uniform(&seed)), t_x = exp(7 * next_uniform(&seed)) - 1;
        struct nilai_posterior posterior = nilai_rhythm_posterior(&model, x, t_x);
        double early = exp(7 * next_uniform(&seed)) - 1;
        double later = early + exp(12 * next_uniform(&seed) - 4);
        struct nilai_silence from = nilai_rhythm_silence(&posterior, early);
        struct nilai_silence to = nilai_rhythm_silence(&posterior, later);
        struct nilai_quiet from_quiet = nilai_rhythm_quiet(&posterior, horizon, &from);
        struct nilai_quiet to_quiet = nilai_rhythm_quiet(&posterior, horizon, &to);

        struct nilai_range slope
            = nilai_rhythm_slope(&posterior, horizon, &from, &from_quiet, &to, &to_quiet);
        double rise = to_quiet.z - from_quiet.z, days = later - early;
        double rounding = 1e-12 * (1 + fabs(from_quiet.z) + fabs(to_quiet.z)) * (1 + posterior.s);
        CHECK(slope.least >= 0);
        CHECK(rise >= slope.least * days - rounding);
        CHECK(rise <= slope.most * days + rounding);
        strict += slope.least * days > 0.5 * rise && slope.most * days < 2 * rise;

        struct nilai_range here
            = nilai_rhythm_slope(&posterior, horizon, &from, &from_quiet, &from, &from_quiet);
        double step = 1e-4 * from.past_days;
        double derivative = (nilai_rhythm_z(&posterior, horizon, early + step) - from_quiet.z) / step;
        CHECK(here.least == here.most);
        CHECK_NEAR(here.least, derivative, 0.01 * here.least + 2 * rounding / step);
    }
    CHECK(strict > 20000);
}

/* Goal: what depends on the number of purchase days alone may be looked up. Method: histories
 * on both sides of the table's end. */
TEST(habits_match_their_formulas)
{
    struct nilai_model model = cdnow_sample();
    for (uint32_t x = 0; x < NILAI_HABITS + 4; x++) {
        struct nilai_rhythm rhythm = {.repeat_days = x, .last_day = (int32_t)x, .bought = true};
        struct nilai_posterior posterior = nilai_rhythm_of(&model, &rhythm);
        CHECK_NEAR(posterior.habit.ln_odds_now, log(model.rhythm.a / (model.rhythm.b + x)), 1e-14);
        CHECK_NEAR(posterior.habit.gap, pow(2, 1 / posterior.s) - 1, 1e-14);
        CHECK_NEAR(posterior.habit.ln_days, log(1 + (double)x), 1e-14);
        CHECK_EQ(posterior.since_ms, x * (int64_t)NILAI_DAY_MS);
    }
}

/* Goal: distinct purchase days are counted as documented, in any order of arrival.
 * Method: a set of all days as the plain model; only days that the bitmap and the first day
 * cannot tell may be counted again. */
TEST(purchase_days_match_a_set_of_days)
{
    enum { DAYS = 400, ROUNDS = 300 };
    uint64_t seed = test_seed(3);
    for (int round = 0; round < ROUNDS; round++) {
        bool bought[DAYS] = {false};
        uint32_t count = 0;
        int first = DAYS, last = -1;
        struct nilai_rhythm rhythm = {0};
        for (int i = 0; i < 60; i++) {
            int reach = last < 0 ? DAYS : last + 30 < DAYS ? last + 30 : DAYS;
            int day = (int)(next_random(&seed) % (uint64_t)reach);
            bool unsure = last >= 0 && last - day >= 64 && day != first;
            enum nilai_day_seen expected = unsure        ? NILAI_DAY_NEW_UNSURE
                                           : bought[day] ? NILAI_DAY_SEEN
                                                         : NILAI_DAY_NEW;
            CHECK_EQ(nilai_rhythm_add(&rhythm, day), expected);
            count += expected != NILAI_DAY_SEEN;
            bought[day] = true;
            first = day < first ? day : first;
            last = day > last ? day : last;
            CHECK_EQ(rhythm.repeat_days, count - 1);
            CHECK_EQ(rhythm.first_day, first);
            CHECK_EQ(rhythm.last_day, last);
        }
    }
}

/* Goal: the fact that the look-ahead of value rests on: expected days fall by no more than the
 * power s + 1 of the growth of R + D. Method: random parameters and pairs of silences. */
TEST(expected_days_fall_within_their_bound)
{
    uint64_t seed = test_seed(4);
    struct nilai_model model;
    nilai_model_defaults(&model);
    for (int i = 0; i < 3000; i++) {
        model.rhythm.r = exp(4 * next_uniform(&seed) - 2);
        model.rhythm.alpha = exp(6 * next_uniform(&seed));
        model.rhythm.a = exp(5 * next_uniform(&seed) - 2.5);
        model.rhythm.b = exp(5 * next_uniform(&seed) - 2.5);
        model.ln_a = log(model.rhythm.a); /* all of what prepare derives that is needed here */
        uint32_t x = (uint32_t)exp(5 * next_uniform(&seed)) - 1;
        double t_x = exp(7 * next_uniform(&seed)) - 1, early = exp(7 * next_uniform(&seed)) - 1;
        double later = early + exp(10 * next_uniform(&seed) - 4);
        struct nilai_posterior posterior = nilai_rhythm_posterior(&model, x, t_x);
        double y1 = expected_year(&model, &posterior, x, early);
        double y2 = expected_year(&model, &posterior, x, later);
        double least = pow((posterior.span + early) / (posterior.span + later), posterior.s + 1);
        CHECK(y2 >= y1 * least * (1 - 1e-9));
    }
}
